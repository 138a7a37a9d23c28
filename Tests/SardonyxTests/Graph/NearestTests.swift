import Testing

@testable import Sardonyx

@Suite struct NearestTests {
  @Test func aSlipOfTheFingersIsFound() {
    #expect(["Relu", "Conv", "Concat"].nearest(to: "Conf") == "Conv")
    #expect(["image", "mask"].nearest(to: "imaeg") == "image")
  }

  @Test func aDifferentWordIsNotAHint() {
    #expect(["Conv", "Relu"].nearest(to: "Softmax") == nil)
    #expect(([] as [String]).nearest(to: "x") == nil)
  }
}
