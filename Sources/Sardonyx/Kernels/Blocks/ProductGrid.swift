/// Some output rows and columns of an image, or of some images.
struct Area: Sendable {
  let images: Range<Int>
  let rows: Range<Int>
  let columns: Range<Int>

  func moved(down: Int, right: Int) -> Area {
    Area(
      images: images, rows: rows.lowerBound + down..<rows.upperBound + down,
      columns: columns.lowerBound + right..<columns.upperBound + right)
  }
}

/// The outputs of a product in parts of at most so many tiles.
struct Areas: Sendable {
  /// As many tiles as share a pass over the weights.
  static let mostTiles = 32

  /// Tiles of a whole area.
  let tiles: Int
  let count: Int
  private let extents: (images: Int, rows: Int, columns: Int)
  private let size: (images: Int, rows: Int, columns: Int)
  private let rowAreas: Int
  private let columnAreas: Int

  /// - Parameter isPlaced: whether tiles run across the ends of rows and images.
  init(rows: Int, columns: Int, images: Int, tilePixels: Int, isPlaced: Bool, most: Int) {
    let pixels = most * tilePixels
    let width = columns.evenPart(atMost: pixels, multipleOf: tilePixels)
    let height = max(1, min(rows, pixels / max(1, width)))
    let depth = isPlaced ? max(1, min(images, pixels / max(1, rows * columns))) : 1
    extents = (images, rows, columns)
    size = (depth, height, width)
    tiles =
      isPlaced
      ? (depth * height * width + tilePixels - 1) / tilePixels
      : height * ((width + tilePixels - 1) / tilePixels)
    rowAreas = (rows + height - 1) / height
    columnAreas = width == 0 ? 0 : (columns + width - 1) / width
    count = (images + depth - 1) / depth * rowAreas * columnAreas
  }

  /// Output places of a whole area.
  var pixels: Int { size.images * size.rows * size.columns }

  subscript(_ index: Int) -> Area {
    let (rest, column) = index.quotientAndRemainder(dividingBy: columnAreas)
    let (image, row) = rest.quotientAndRemainder(dividingBy: rowAreas)
    func part(_ index: Int, _ size: Int, _ extent: Int) -> Range<Int> {
      index * size..<min((index + 1) * size, extent)
    }
    return Area(
      images: part(image, size.images, extents.images), rows: part(row, size.rows, extents.rows),
      columns: part(column, size.columns, extents.columns))
  }
}

/// The chunks of a product: some areas times some panels of weights.
struct ProductGrid: Sendable {
  let areas: Areas
  private let panels: Int
  private let areasPerChunk: Int
  private var panelsPerChunk: Int
  private let threads: Int
  /// Whether the panels of an area follow each other, or the areas of a panel.
  private let goesByAreas: Bool

  /// - Parameters:
  ///   - areasAtOnce: how many areas make a chunk, where there are so many.
  ///   - pixelWork: multiply-adds of an output place.
  ///   - depth: of the sum.
  init(
    _ areas: Areas, areasAtOnce: Int, panels: Int, pixelWork: Int, depth: Int, threads: Int
  ) {
    self.areas = areas
    self.panels = panels
    self.threads = threads
    areasPerChunk = max(1, min(areas.count, areasAtOnce))
    // Neighbouring chunks are one thread's: they share what there is more of.
    goesByAreas = areas.count * areas.pixels * depth > pixelWork
    let groups = (areas.count + areasPerChunk - 1) / areasPerChunk
    // Four chunks for each thread even them out. Below a quarter of a million multiply-adds, 3 to 6 µs,
    // none is worth it.
    let wanted = threads == 1 ? 1 : (4 * threads + groups - 1) / groups
    // Above some hundred millions an interruption would come late.
    let chunkWork = areas.pixels * pixelWork * areasPerChunk
    let parts = max(1, min(panels, max(min(wanted, chunkWork >> 18), chunkWork >> 28)))
    panelsPerChunk = (panels + parts - 1) / parts
    if threads > 1, isUneven, panelsPerChunk > 1, time(panelsPerChunk: panelsPerChunk - 1) < time {
      panelsPerChunk -= 1
    }
  }

  /// How long the threads take, in tiles of a panel.
  var time: Double { time(panelsPerChunk: panelsPerChunk) }

  /// The same with so many panels in a chunk. A pass over the weights of an area is taken for half a tile
  /// more, and so is a chunk.
  private func time(panelsPerChunk: Int) -> Double {
    let rounds = Double(rounds(panelsPerChunk))
    return rounds * (Double(areasPerChunk * panelsPerChunk) * (Double(areas.tiles) + 0.5) + 0.5)
  }

  /// Whether some threads have a twentieth more to do than all have on average.
  var isUneven: Bool {
    20 * rounds(panelsPerChunk) * threads * areasPerChunk * panelsPerChunk
      > 21 * areas.count * panels
  }

  /// The chunks of the thread that has most of them.
  private func rounds(_ panelsPerChunk: Int) -> Int {
    (areaGroups * panelGroups(panelsPerChunk) + threads - 1) / threads
  }

  private func panelGroups(_ panelsPerChunk: Int) -> Int {
    (panels + panelsPerChunk - 1) / panelsPerChunk
  }

  private var areaGroups: Int { (areas.count + areasPerChunk - 1) / areasPerChunk }
  var chunks: Int { areaGroups * panelGroups(panelsPerChunk) }

  /// The areas and the panels of a chunk.
  func parts(of chunk: Int) -> (areas: Range<Int>, panels: Range<Int>) {
    let (area, panel) =
      goesByAreas
      ? chunk.quotientAndRemainder(dividingBy: panelGroups(panelsPerChunk))
      : (chunk % areaGroups, chunk / areaGroups)
    let (firstArea, firstPanel) = (area * areasPerChunk, panel * panelsPerChunk)
    return (
      firstArea..<min(firstArea + areasPerChunk, areas.count),
      firstPanel..<min(firstPanel + panelsPerChunk, panels)
    )
  }
}
