import Testing

@testable import Sardonyx

@Suite struct NearestNameTests {
  @Test func aSlipOfTheFingersIsFound() {
    #expect(nearestName(to: "Conf", among: ["Relu", "Conv", "Concat"]) == "Conv")
    #expect(nearestName(to: "imaeg", among: ["image", "mask"]) == "image")
  }

  @Test func aDifferentWordIsNotAHint() {
    #expect(nearestName(to: "Softmax", among: ["Conv", "Relu"]) == nil)
    #expect(nearestName(to: "x", among: [] as [String]) == nil)
  }
}
