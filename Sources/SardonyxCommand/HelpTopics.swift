import ArgumentParser

/// `sardonyx help images`: how pictures become numbers.
struct ImagesTopic: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "images", abstract: "Help: how pictures become the numbers a model takes.",
    discussion: """
      1. A PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM file is decoded to 8 bits a sample, as Pillow \
      does it. JPEG, PNG and WebP files are turned as EXIF says.

      2. --channels rgb, bgr or gray; gray where the input declares one channel.

      3. One of --resize WxH (stretched), --resize-shorter EXTENT (shape kept) and --letterbox WxH (shape \
      kept, gray 114 around). All use Pillow's bilinear filter with anti-aliasing, bit for bit.

      4. --crop WxH keeps the middle.

      5. Black is 0 and white is 1, or 255 with --range 255. --mean is subtracted and --std divides then, \
      both in that scale. An input of uint8 gets the bytes as they are.

      6. --layout nchw or nhwc, with a batch axis of 1 unless the input has rank 3.

      Most models trained on ImageNet with PyTorch: --resize-shorter 256 --crop 224x224 --mean \
      0.485,0.456,0.406 --std 0.229,0.224,0.225. YOLO: --letterbox 640x640. Models from Caffe: \
      --channels bgr --range 255 --mean 104,117,123.
      """)

  func run() { print(Self.helpMessage()) }
}

/// `sardonyx help tolerances`: what counts as equal.
struct TolerancesTopic: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tolerances", abstract: "Help: what `compare` counts as equal.",
    discussion: """
      A value passes when its largest difference is at most atol + rtol · m, where m is the largest \
      magnitude of the reference: --rtol is 1e-5 and --atol 0 unless said otherwise. The column \
      "allowed", and the member of JSON, show that bound for each value.

      Behind Sigmoid, HardSigmoid, Tanh, Softsign and Softmax, m is at least the largest magnitude of \
      their input times their steepest slope: inputs that agree no better than that make outputs that \
      agree no better.

      For float16, bfloat16 and smaller types rtol is at least twice the distance from 1 to the next \
      number. Integers, truth values and texts must be equal. NaN equals NaN, and an infinity itself.

      An output beyond that passes nevertheless where folded is within the tolerance of the same model \
      in double, or at most twice as far from it as the model as written: two ways that round to \
      opposite sides of the truth may be farther from each other than from it, and where numbers are \
      rounded to bytes the last place of one may turn a whole byte. The table and the JSON's member \
      "remark" tell so.
      """)

  func run() { print(Self.helpMessage()) }
}
