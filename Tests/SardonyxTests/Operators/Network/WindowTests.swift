import Testing

@testable import Sardonyx

@Suite struct WindowTests {
  @Test(arguments: [0, 1, 4], [1, 5, 8])
  func tapsAndPositionsTellTheSame(pad: Int, input: Int) {
    [3, 3].forEachIndex { index in
      let (stride, dilation) = (index[0] + 1, index[1] + 1)
      let axis = WindowAxis(
        input: input, output: 4, kernel: 3, stride: stride, dilation: dilation, padBefore: pad)
      [axis.output, axis.kernel].forEachIndex { index in
        let place = axis.start(of: index[0]) + index[1] * dilation
        let isInside = place >= 0 && place < input
        #expect(axis.taps(of: index[0]).contains(index[1]) == isInside)
        #expect(axis.positions(of: index[1]).contains(index[0]) == isInside)
      }
    }
  }

  @Test func runsTouchEachPairOfInputAndOutputOnce() {
    let row = WindowAxis(
      input: 4, output: 5, kernel: 3, stride: 1, dilation: 1, padBefore: 1, padAfter: 2)
    let column = WindowAxis(
      input: 7, output: 3, kernel: 2, stride: 3, dilation: 2, padBefore: 1)
    let axes = [row, column]
    var met: [[Int]] = []
    for run in axes.runs {
      for step in 0..<run.count {
        met.append([run.tap, run.input + step * column.stride, run.output + step])
      }
    }
    var expected: [[Int]] = []
    [3, 2, 5, 3].forEachIndex { index in
      let y = row.start(of: index[2]) + index[0]
      let x = column.start(of: index[3]) + 2 * index[1]
      guard (0..<4).contains(y), (0..<7).contains(x) else { return }
      expected.append([index[0] * 2 + index[1], y * 7 + x, index[2] * 3 + index[3]])
    }
    #expect(Set(met) == Set(expected) && met.count == expected.count)
  }

  @Test func indicesComeInRowMajorOrder() {
    var indices: [[Int]] = []
    [2, 1, 2].forEachIndex { indices.append($0) }
    #expect(indices == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]])
    [Int]().forEachIndex { indices = [$0] }
    #expect(indices == [[]])
    [3, 0].forEachIndex { _ in Issue.record("a tensor without elements has an index") }
  }
}
