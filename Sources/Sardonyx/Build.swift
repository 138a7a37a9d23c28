/// What this build of the library is.
public enum Build {
  /// Its semantic version.
  public static let version = "0.1.0"

  /// What else a build can have: `images` for the operator ImageDecoder.
  public static let features: [String] = {
    #if Images
      ["images"]
    #else
      []
    #endif
  }()
}
