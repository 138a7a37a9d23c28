import SardonyxImages
import Testing
