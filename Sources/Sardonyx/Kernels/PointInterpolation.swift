import CKernels

/// The elements that some points of an image are made of, [tap][point].
@safe struct PointTaps {
  /// Points at a time.
  static let points = Int(RESAMPLED_POINTS)

  let count: Int
  /// Where each element lies in a plane; negative for one that is 0.
  private let places: UnsafeMutablePointer<Int32>
  private let weights: UnsafeMutablePointer<Double>

  fileprivate init(
    _ count: Int, _ places: UnsafeMutablePointer<Int32>, _ weights: UnsafeMutablePointer<Double>
  ) {
    self.count = count
    unsafe (self.places, self.weights) = (places, weights)
  }

  func set(_ tap: Int, of point: Int, _ place: Int, _ weight: Double) {
    unsafe places[tap * Self.points + point] = Int32(truncatingIfNeeded: place)
    unsafe weights[tap * Self.points + point] = weight
  }

  /// Interpolates points in each of some planes of `planeSize` numbers.
  fileprivate func interpolate(
    _ points: Int, planes: Int, _ x: UnsafePointer<Float>, planeSize: Int,
    into y: UnsafeMutablePointer<Float>, resultSize: Int, with instructions: InstructionSet
  ) {
    for plane in 0..<planes {
      unsafe instructions.kernels.interpolate(
        points, count, places, weights, x + plane * planeSize, y + plane * resultSize)
    }
  }

  /// Interpolates all points of a batch of images.
  /// - Parameters:
  ///   - taps: elements of each point.
  ///   - points: of each image.
  ///   - find: sets the taps of a point of an image as those of one of the points at a time.
  static func interpolate(
    taps: Int, batch: Int, planes: Int, points: Int, planeSize: Int, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, on crew: Crew,
    _ find: @Sendable (_ image: Int, _ point: Int, PointTaps, _ index: Int) -> Void
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let blocks = (points + Self.points - 1) / Self.points
    let work = Self.points * taps * (planes + 8)
    crew.performRanges(of: batch * blocks, by: max(1, (1 << 15) / work)) { range in
      unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: taps * Self.points) { places in
        unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: taps * Self.points) {
          weights in
          let table = unsafe PointTaps(taps, places.baseAddress!, weights.baseAddress!)
          for index in range {
            let (image, block) = index.quotientAndRemainder(dividingBy: blocks)
            let first = block * Self.points
            let count = min(Self.points, points - first)
            for point in 0..<count { find(image, first + point, table, point) }
            unsafe table.interpolate(
              count, planes: planes, x + image * planes * planeSize, planeSize: planeSize,
              into: y + (image * planes * points + first), resultSize: points,
              with: crew.instructions)
          }
        }
      }
    }
  }
}
