#pragma once

#include <stdbool.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Lines that are transformed at a time, one in each lane of double precision.
#define FOURIER_LINES 8
/// Of the factors of a length.
#define FOURIER_LARGEST_FACTOR 31

/// Vectors whose multiply-adds do not wait for each other.
#define ROOFLINE_SUMS 12

/// Points that are interpolated at a time.
#define RESAMPLED_POINTS 64

/// y[i] = f(x[i]) for i < n; x and y are the same array or do not overlap. What alpha and beta mean, the field says.
typedef void (*UnaryKernel)(long n, const float *x, float *y, float alpha, float beta);

/// z[i] = f(x[i·x_step], y[i·y_step]) for i < n, where a step is 0 or 1; z may be x or y.
typedef void (*BinaryKernel)(long n, const float *x, long x_step, const float *y, long y_step, float *z);
typedef void (*DoubleBinaryKernel)(
    long n, const double *x, long x_step, const double *y, long y_step, double *z);
typedef void (*Int32BinaryKernel)(
    long n, const int32_t *x, long x_step, const int32_t *y, long y_step, int32_t *z);
typedef void (*Int64BinaryKernel)(
    long n, const int64_t *x, long x_step, const int64_t *y, long y_step, int64_t *z);

/// A number made of the n numbers of a row.
typedef float (*RowReduction)(long n, const float *x);

/// y[i] is made of x[i], x[i + x_step], … x[i + (rows - 1)·x_step], for i < n.
typedef void (*ColumnReduction)(long rows, long n, const float *x, long x_step, float *y);

/// y is the softmax (or its logarithm) of the n numbers of x; y may be x.
typedef void (*RowSoftmax)(long n, const float *x, float *y);

/// The same for n columns side by side, each going down `rows` rows that lie `step` apart in x and in y.
typedef void (*ColumnSoftmax)(long rows, long n, const float *x, float *y, long step);

/// Copies n elements that lie x_step bytes apart (0 and negative too) to adjoining places in y.
typedef void (*StridedCopyKernel)(long n, const void *x, long x_step, void *y);

/// y[c][r] = x[r][c] for r < rows, c < columns; the steps from row to row are in elements.
typedef void (*Transposition)(
    long rows, long columns, const void *x, long x_step, void *y, long y_step);

/// Some rows of a matrix product with at most `tile_columns` columns:
/// C = activation(alpha·A·B + beta·C + row_bias + column_bias + residual).
typedef struct PanelProduct {
  long rows, columns, depth;
  /// Element (m, k) is a[m·a_row + k·a_depth]. Or panels of `tile_rows` rows, `a_panel` apart and filled up, whose elements
  /// lie so; without them a_panel is 0.
  const float *a;
  long a_row, a_depth, a_panel;
  /// Row k begins at b + k·b_step. Whole vectors are read: the columns are filled up, or a multiple of the lanes.
  const float *b;
  long b_step;
  float *c;
  long c_step;
  float alpha, beta;
  /// One number per row; or none.
  const float *_Nullable row_bias;
  /// One number per column; or none.
  const float *_Nullable column_bias;
  /// As large as C, and may be C; or none.
  const float *_Nullable residual;
  long residual_step;
  /// activation(v) = min(max(v < 0 ? v·slope : v, low), high), which keeps NaN.
  float slope, low, high;
} PanelProduct;

/// Part of a product over activations in blocks of channels, for up to `tile_vectors` vectors of output channels:
/// y[row][column] = activation(bias + residual + Σ x[row·x_row + column·x_column + offsets[r] + k]·weights[r·run + k])
/// over r < runs and k < run (from full_runs on, k < short_run).
typedef struct BlockedProduct {
  long rows, columns, vectors;
  long runs, full_runs, run, short_run;
  /// Runs that are summed in registers before they are added to what y holds.
  long pass;
  const float *x;
  long x_row;
  const int32_t *offsets;
  /// [depth][vectors][lanes].
  const float *weights;
  float *y;
  long y_row, y_column, y_vector;
  /// 1, 2 or the lanes of a vector; if is_placed, any number, and tiles then go on from row to row and image to image.
  long x_column;
  bool is_placed;
  long images, x_image, y_image;
  /// A number for each output channel; or none.
  const float *_Nullable bias;
  /// Laid out as y, and may be y; or none.
  const float *_Nullable residual;
  /// Of several parts of a sum in turn: the first does not read y, the last applies the activation.
  bool is_first, is_last;
  /// As in PanelProduct.
  float slope, low, high;
  /// Where whole tiles may see nothing but padding under some taps, at most 64: how many there are in turn along the runs,
  /// that of the first run, and for each row and column of outputs the taps that meet the input there; or 0 and none.
  long taps, first_tap;
  const uint64_t *_Nullable row_taps, *_Nullable column_taps;
} BlockedProduct;

/// Along an axis of x, which is [axis][inner]: output o is Σ over taps of weights[tap·outputs + o]·x[places[tap·outputs + o]].
typedef struct Resampling {
  long outputs, inner, taps;
  const int32_t *places;
  const float *weights;
} Resampling;

/// Tiles of m×m outputs for Winograd's convolution with 3×3 taps, all of one block of channels.
///
/// Spreading makes of each tile's (m + 2)² inputs, which lie in x, as many factors; gathering makes of as many
/// products the m² outputs in y. Number `i` of tile `first + t` is at v + i·v_point + t·lanes.
typedef struct WinogradTiles {
  /// m: 2 or 4.
  long outputs;
  long first, count, tile_columns, tiles_per_image;
  /// The extents of the input's planes when spreading, of the output's when gathering; images are x_image apart.
  long rows, columns, x_image;
  long pad_top, pad_left;
  const float *_Nullable x;
  float *v;
  long v_point;
  /// For gathering alone.
  float *_Nullable y;
  const float *_Nullable bias;
  const float *_Nullable residual;
  float slope, low, high;
} WinogradTiles;

/// Windows over the plane of a block of channels, x and y being [row][column][lane]; what lies beside x is left out.
typedef struct __attribute__((swift_attr("@Sendable"))) BlockWindows {
  /// Outputs: `rows` rows of `columns` from `first_row` on.
  long first_row, rows, columns;
  long x_rows, x_columns;
  long tap_rows, tap_columns, row_stride, column_stride, row_step, column_step, pad_top, pad_left;
  const float *x;
  float *y;
  /// By how many taps the sum of a window is divided, as a factor for its row and one for its column; averages alone.
  const float *_Nullable row_taps;
  const float *_Nullable column_taps;
} BlockWindows;

/// A depthwise convolution of a block of channels.
typedef struct BlockCorrelation {
  BlockWindows windows;
  /// [tap row][tap column][lane].
  const float *taps;
  const float *_Nullable bias;
  /// Laid out as y, and may be y; or none.
  const float *_Nullable residual;
  float slope, low, high;
} BlockCorrelation;

/// One plane of a depthwise convolution over input that has its padding around it.
typedef struct PlaneCorrelation {
  long rows, columns;
  /// Input of output (0, 0), tap (0, 0); a vector may be read beyond the end of each row.
  const float *x;
  long x_row, x_stride, y_stride;
  long tap_rows, tap_columns, tap_row_step, tap_column_step;
  const float *taps;
  float bias, slope, low, high;
  float *y;
} PlaneCorrelation;

/// A product whose left factor is read where it lies: C = activation(alpha·A·B + column_bias).
typedef struct SmallProduct {
  long rows, columns, depth;
  /// Element (m, k) is a[m·a_row + k·a_depth].
  const float *a;
  long a_row, a_depth;
  /// Panels of `tile_columns` columns, `b_panel` apart, whose rows are `b_step` apart. Whole vectors are read.
  const float *b;
  long b_step, b_panel;
  float *c;
  long c_step;
  float alpha;
  /// One number per column; or none.
  const float *_Nullable column_bias;
  /// activation(v) = min(max(v < 0 ? v·slope : v, low), high), which keeps NaN.
  float slope, low, high;
} SmallProduct;

/// Sums of a NarrowSums at most.
#define NARROW_OUTPUTS 8

/// y[m·y_step + i] = bias[m] + Σk weights[k·outputs + m]·x[places[k] + i] for i < columns and m < outputs. Whole vectors are
/// read and written.
typedef struct NarrowSums {
  long outputs, columns, depth;
  const float *weights;
  const float *x;
  const int32_t *places;
  const float *bias;
  float *y;
  long y_step;
} NarrowSums;

/// How sums become bytes: the integer nearest to (sum + shifts[c])·scales[c] + addends[c], half to even, + zero, within
/// low ... high of 0 ... 255, or -128 ... 127. The magnitude before rounding must be less than 2³¹. Whole vectors are read.
typedef struct ByteRounding {
  const int32_t *shifts;
  const float *scales;
  /// None stands for zeros.
  const float *_Nullable addends;
  int32_t zero, low, high;
} ByteRounding;

/// What was cut off a byte of a factor, so that products with its neighbour fit 16 bits.
typedef struct ByteExcess {
  /// The run and the place in it, both below 2¹⁶, and the column of the panel.
  uint16_t run, place, column;
  int16_t excess;
} ByteExcess;

/// C = A·B of bytes, unsigned on the left and signed on the right, in 32-bit integers; or, where `rounding` is given, the
/// bytes Y that it makes of those.
///
/// A row is `runs` runs of `run` bytes, which is a multiple of 4; a sum must not leave 32 bits.
typedef struct ByteProduct {
  /// Columns are given in vectors.
  long rows, vectors;
  long runs, run;
  /// Row m begins at a + rows_at[m], or without that at a + m·a_step, and its run r runs_at[r] behind that, or 0.
  const uint8_t *a;
  long a_step;
  const int32_t *_Nullable rows_at;
  const int32_t *_Nullable runs_at;
  /// Panels of `byte_columns`, the last one narrower, in which what pack_bytes makes of the runs lies one after the other.
  const int8_t *b;
  /// Whether pack_bounded_bytes made it instead.
  bool is_bounded;
  /// What that cut off, if anything: of panel i from excess_starts[i] to excess_starts[i + 1].
  const ByteExcess *_Nullable excesses;
  const int32_t *_Nullable excess_starts;
  int32_t *_Nullable c;
  long c_step;
  const ByteRounding *_Nullable rounding;
  uint8_t *_Nullable y;
  long y_step;
  /// Of Y; there may be fewer than the vectors hold.
  long columns;
} ByteProduct;

/// One row of outputs of a depthwise convolution of bytes whose channels lie side by side: y[o][c] = what `rounding` makes
/// of Σ rows[i][o·stride + j·dilation][c]·weights[i][j][c].
typedef struct DepthwiseBytes {
  long channels, outputs;
  long kernel_rows, kernel_columns, stride, dilation;
  /// One for each row of the kernel; whole vectors are read.
  const uint8_t *_Nonnull const *_Nonnull rows;
  /// Of the first `wide_channels`, a multiple of 4·lanes: [4·lanes channels][kernel_rows / 4, rounded up][kernel_columns]
  /// [j < 4][i < lanes][4 rows], of channel 4i + j; of the others [lanes channels][…][…][lanes][4 rows]. What fills up is 0.
  /// The columns that a row of the kernel spans must not be more than 96.
  const int8_t *weights;
  /// They may be more than `channels`.
  long wide_channels;
  /// Of channels in the order of the weights, lane for lane.
  const ByteRounding *rounding;
  uint8_t *y;
} DepthwiseBytes;

/// y[i] = (a[i] - a_zero)·a_scale + (b[i] - b_zero)·b_scale of bytes that are first turned over by `flip`, as the nearest
/// multiple of `scale` to that, half to even, + zero, within low ... high; or their product instead of their sum.
typedef struct ByteCombination {
  const uint8_t *a;
  const uint8_t *b;
  uint8_t *y;
  uint8_t flip;
  int32_t a_zero, b_zero, zero, low, high;
  float a_scale, b_scale, scale;
  /// Whether all pairs of bytes are known to come to the same without the numbers that they stand for, by one factor each.
  bool is_plain;
} ByteCombination;

/// A step of a recurrent network for some sequences. Units come in blocks of `lanes`, the last one filled up with zeros.
typedef struct RecurrentStep {
  /// Sequences; each has its place in the tables of pointers.
  long rows;
  long blocks;
  /// Units of the state that is multiplied.
  long depth;
  /// The recurrent weights as [blocks][depth][gates][lanes].
  const float *weights;
  /// Per row, what the input and the biases give: [blocks][gates of the cell][lanes].
  const float *_Nonnull const *_Nonnull sums;
  /// Per row, the state that is multiplied: [blocks][lanes].
  const float *_Nonnull const *_Nonnull hidden;
  /// Per row, the new state.
  float *_Nonnull const *_Nonnull next;
  /// Per row, an LSTM's cell, which is replaced; or a GRU's update gate.
  float *_Nonnull const *_Nonnull cell;
  /// Of an LSTM's input, output and forget gate: [blocks][3][lanes]; or none.
  const float *_Nullable peepholes;
  /// Added to a GRU's product before the reset gate multiplies it: [blocks][lanes]; or none.
  const float *_Nullable reset_bias;
  /// The bound of what goes into a function.
  float clip;
  /// Whether the forget gate is 1 minus the input gate.
  bool couples_forget;
} RecurrentStep;

/// The kernels of one instruction set. Nothing here knows of shapes beyond lengths and strides.
typedef struct __attribute__((swift_attr("@Sendable"))) Kernels {
  const char *name;
  /// Floats in a vector.
  long lanes;
  /// Rows and columns of the tile that `multiply_panel` keeps in registers: widths of packed panels.
  long tile_rows, tile_columns;

  // MARK: Matrix products

  void (*multiply_panel)(const PanelProduct *);
  /// y[i / width][k][i % width] = x[i·lane_step + k·depth_step] for i < lanes; the last panel is filled up with zeros.
  /// A panel is y_step from the next.
  void (*pack_panels)(
      long depth, long lanes, long width, const float *x, long lane_step, long depth_step, float *y,
      long y_step);
  /// y[n] = Σk x[k]·rows[n][k] for n < count, all rows `step` apart.
  void (*dot_rows)(long count, long depth, const float *x, const float *rows, long step, float *y);
  void (*multiply_small)(const SmallProduct *);
  /// c[m][n] = Σk a[m][k]·b[n][k] in 32-bit integers that wrap.
  void (*multiply_integers)(
      long rows, long columns, long depth, const int16_t *a, const int16_t *b, int32_t *c, long c_step);
  /// Columns of a panel of the right factor of a product of bytes, and how many numbers of a column adjoin in it.
  long byte_columns, byte_group;
  void (*multiply_bytes)(const ByteProduct *);
  /// Part of a panel: y[k / byte_group][n][k % byte_group] = x[n·column_step + k·depth_step] ^ flip for n < columns and
  /// k < depth; what fills up the vectors and the depth of `filled` is 0. sums[n] grows by the bytes of column n.
  void (*pack_bytes)(
      long depth, long filled, long columns, const uint8_t *x, long column_step, long depth_step, uint8_t flip, int8_t *y,
      int32_t *sums);
  /// The same in groups of four, y[k / 4][n][k % 4], where the first two bytes of a group and its last two are cut so that
  /// their products with any two bytes add up within 16 bits. What is cut off goes to `excesses` as that of run `run`; returns
  /// how many there are, or -1 where that is more than `room`. None where products need no such care.
  long (*_Nullable pack_bounded_bytes)(
      long depth, long filled, long columns, const uint8_t *x, long column_step, long depth_step, uint8_t flip,
      long run, int8_t *y, int32_t *sums, ByteExcess *excesses, long room);
  /// Σ x[i] ^ flip, modulo 2³².
  int32_t (*sum_bytes)(long n, const uint8_t *x, uint8_t flip);
  /// The same of each row of n bytes.
  void (*sum_byte_rows)(long rows, long n, const uint8_t *x, uint8_t flip, int32_t *y);
  /// y[i] = x[i] ^ flip.
  void (*flip_bytes)(long n, const uint8_t *x, uint8_t flip, uint8_t *y);
  /// What zero points take off sums of products of bytes, modulo 2³²: y[i] = x[i] - zero·column_sums[i] - row_sum·zeros[i],
  /// zeros of none being 0; y may be x.
  void (*center_sums)(
      long n, const int32_t *x, int32_t zero, const int32_t *column_sums, int32_t row_sum, const int32_t *_Nullable zeros,
      int32_t *y);
  /// y[i] = x[i]·(scale·scales[i]) + addend[i]; y may be addend.
  void (*scale_sums)(
      long n, const int32_t *x, float scale, const float *scales, const float *addend, float *y);
  /// Bytes y[r·columns + c] of the sums x[r·x_step + c]. Whole vectors are read.
  void (*quantize_sums)(
      long rows, long columns, const int32_t *x, long x_step, const ByteRounding *rounding, void *y);
  void (*correlate_depthwise_bytes)(const DepthwiseBytes *);
  /// y[c·i + k] = x[k·x_step + i] ^ flip for i < n and k < c = `channels`, 2 to 4.
  void (*interleave_bytes)(long n, long channels, const uint8_t *x, long x_step, uint8_t flip, uint8_t *y);
  /// y[i] = the largest x[places[t] + i] for t < taps, which is at least 1.
  void (*maximum_bytes)(long n, const uint8_t *x, long taps, const int32_t *places, uint8_t *y);
  /// y[i] = the integer nearest to (Σ x[places[t] + i] + shift)·scale, half to even, + zero, within low ... high.
  void (*average_bytes)(
      long n, const uint8_t *x, long taps, const int32_t *places, int32_t shift, float scale, int32_t zero, int32_t low,
      int32_t high, uint8_t *y);
  /// y[i] = table[x[i]].
  void (*look_up_bytes)(long n, const uint8_t *x, const uint8_t *table, uint8_t *y);

  void (*add_bytes)(long n, const ByteCombination *);
  void (*multiply_byte_pairs)(long n, const ByteCombination *);

  // MARK: Convolution

  /// The same of x[depth_offsets[k] + lane_offsets[i]]. Nothing at or beyond x_end is read.
  void (*gather_panels)(
      long depth, long lanes, long width, const float *x, const float *x_end,
      const int32_t *depth_offsets, const int32_t *lane_offsets, float *y, long y_step);
  void (*correlate_plane)(const PlaneCorrelation *);
  /// y[i·y_step] += x[i].
  void (*add_spread)(long n, const float *x, float *y, long y_step);

  void (*sum_narrow)(const NarrowSums *);
  /// y[2i] = even[i], y[2i + 1] = odd[i] for i < n.
  void (*weave)(long n, const float *even, const float *odd, float *y);

  void (*multiply_blocks)(const BlockedProduct *);
  /// y[i] = x[first + i·stride], 0 where that is beside 0 ..< extent, for i < n, in numbers of so many floats: `lanes` or 1.
  void (*copy_columns)(long n, const float *x, long extent, long first, long stride, long floats, float *y);
  /// Weights of 3×3 taps as Winograd's products take them, for WinogradTiles.outputs = m: those of lane i and input channel k,
  /// x[i·lane_step + 9·k + tap], become y[point·y_point + k·vectors·lanes + i] for all (m + 2)² points, in up to `tile_columns`
  /// lanes; from `count` on they are 0.
  void (*spread_weights)(
      long m, long channels, long count, long vectors, const float *x, long lane_step, float *y, long y_point);
  void (*spread_tiles)(const WinogradTiles *);
  void (*gather_tiles)(const WinogradTiles *);
  void (*correlate_block)(const BlockCorrelation *);
  /// Outputs begin ..< end of an axis.
  void (*resample)(const Resampling *, const float *x, long begin, long end, float *y);
  /// y[i] = Σ over tap < taps of weights[tap·RESAMPLED_POINTS + i]·x[places[tap·RESAMPLED_POINTS + i]] for
  /// i < n ≤ RESAMPLED_POINTS, without those whose place is negative; a single tap has weight 1.
  void (*interpolate)(
      long n, long taps, const int32_t *places, const double *weights, const float *x, float *y);
  /// NaN where a window holds one; -∞ and 0 / 0 where it holds nothing.
  void (*maximum_of_block)(const BlockWindows *);
  void (*average_of_block)(const BlockWindows *);
  /// y[i][lane] = activation((x[i][lane] - mean[lane])·scale[lane] + shift[lane]) for i < n; y may be x.
  void (*normalize_block)(
      long n, const float *x, const float *mean, const float *scale, const float *shift, float slope,
      float low, float high, float *y);
  /// y[i][lane] = x[i][lane] < 0 ? x[i][lane]·slopes[lane] : x[i][lane] for i < n; y may be x.
  void (*bend_block)(long n, const float *x, const float *slopes, float *y);

  /// y[i][lane] = x[k][i][lanes[k][lane]] for i < n, where k < count is the one whose lanes[k][lane] is not negative.
  void (*select_lanes)(
      long n, long count, const float *_Nonnull const *_Nonnull x, const int32_t *lanes, float *y);

  // MARK: Elementwise, one input

  UnaryKernel absolute, negate, sign, reciprocal, square_root, reciprocal_square_root, square;
  UnaryKernel floor, ceiling, round_half_even;
  UnaryKernel exp, expm1, log, log1p, sin, cos, tanh, erf;
  UnaryKernel relu, sigmoid, softplus, softsign, silu, mish, gelu, gelu_tanh, hard_swish, selu;
  /// x < 0 ? alpha·x : x.
  UnaryKernel leaky_relu;
  /// x < 0 ? alpha·(eˣ - 1) : x.
  UnaryKernel elu;
  /// x < 0 ? alpha·(e^(x / alpha) - 1) : x.
  UnaryKernel celu;
  /// min(max(alpha·x + beta, 0), 1).
  UnaryKernel hard_sigmoid;
  /// min(max(x, alpha), beta).
  UnaryKernel clip;
  /// x > alpha ? x : 0.
  UnaryKernel thresholded_relu;
  /// alpha·x + beta.
  UnaryKernel affine;

  // MARK: Elementwise, two inputs

  /// Maximum and minimum are NaN where either input is.
  BinaryKernel add, subtract, multiply, divide, maximum, minimum;
  DoubleBinaryKernel add_doubles, subtract_doubles, multiply_doubles;
  Int32BinaryKernel add_int32, subtract_int32, multiply_int32;
  Int64BinaryKernel add_int64, subtract_int64, multiply_int64;
  /// y[i] = max(x[i]·scale[i] + shift[i], low), which keeps NaN.
  void (*scale_shift)(
      long n, const float *x, const float *scale, const float *shift, float low, float *y);
  /// y[i] = x[i]·factor, computed in double and rounded once; the floats of x may lie at an odd address.
  void (*scale_doubly)(long n, const void *x, double factor, float *y);

  // MARK: Reductions

  /// 0 and -∞, +∞ for n = 0. Sums gather in double, block by block; maximum and minimum are NaN where a number is.
  RowReduction sum, sum_of_squares, row_maximum, row_minimum;
  ColumnReduction sum_columns, sum_of_squares_of_columns, maximum_of_columns, minimum_of_columns;
  RowSoftmax softmax, log_softmax;
  ColumnSoftmax softmax_columns, log_softmax_columns;
  /// Σ (x[i] - mean)².
  float (*sum_of_squared_deviations)(long n, const float *x, float mean);
  /// y[i] = (x[i] - mean)·factor·scale[i] + shift[i]; a scale of none is 1, a shift of none is 0.
  void (*normalize)(
      long n, const float *x, float mean, float factor, const float *_Nullable scale,
      const float *_Nullable shift, float *y);

  // MARK: Recurrent networks

  /// Gates i, o, f, c.
  void (*step_lstm)(const RecurrentStep *);
  /// Gates z, r, h, the reset gate after the product with the state.
  void (*step_gru)(const RecurrentStep *);
  /// The gates z (to `cell`) and r, whose product with the state goes to `next`.
  void (*step_gru_gates)(const RecurrentStep *);
  /// The new state from z (`cell`), the product of r with the state (`hidden`), and the state before, which `next` holds.
  void (*step_gru_state)(const RecurrentStep *);
  void (*step_rnn)(const RecurrentStep *);

  // MARK: Pooling

  /// y[i] = max over j < taps of x[i·stride + j·tap_step], NaN where one of them is; x and y do not overlap.
  void (*maximum_of_windows)(long n, const float *x, long stride, long taps, long tap_step, float *y);
  /// The same with their sum.
  void (*sum_of_windows)(long n, const float *x, long stride, long taps, long tap_step, float *y);

  // MARK: Fourier transforms

  /// One pass of the transforms of FOURIER_LINES lines: x and y are [length][real, imaginary][line], aligned to 64 bytes, and
  /// do not overlap. `groups` is the product of the factors of the passes before; factors are 2, 4 and odd numbers up to
  /// FOURIER_LARGEST_FACTOR. roots[k·roots_step] = e^(-2πi·k / length), a pair of numbers each.
  void (*transform_lines)(
      long factor, long groups, long length, const double *roots, long roots_step, const double *x, double *y);
  /// Elements 0 ... half of the transforms y of real lines of 2·half numbers from the transforms x of what they are when two
  /// neighbours make a complex number. roots[k] = e^(-πi·k / half) for k ≤ half.
  void (*split_real_lines)(long half, const double *roots, const double *x, double *y);

  // MARK: Roofline

  /// A number that n·ROOFLINE_SUMS·lanes multiply-adds make.
  float (*repeat_multiply_add)(long n, float factor, float addend);
  /// A number that all of x makes but what is left of it beyond 8·lanes.
  float (*read_floats)(long n, const float *x);

  // MARK: Movement

  StridedCopyKernel copy_bytes, copy_2_bytes, copy_4_bytes, copy_8_bytes, copy_16_bytes;
  Transposition transpose_bytes, transpose_2_bytes, transpose_4_bytes, transpose_8_bytes,
      transpose_16_bytes;

  // MARK: Conversion

  /// IEEE half precision and bfloat16 are given as their bits; halves round to nearest even.
  void (*widen_halves)(long n, const uint16_t *x, float *y);
  void (*narrow_to_halves)(long n, const float *x, uint16_t *y);
  void (*widen_bfloats)(long n, const uint16_t *x, float *y);
  void (*narrow_to_bfloats)(long n, const float *x, uint16_t *y);
  /// y[i] = (x[i] - zero)·scale.
  void (*dequantize_unsigned)(long n, const uint8_t *x, float scale, int32_t zero, float *y);
  void (*dequantize_signed)(long n, const int8_t *x, float scale, int32_t zero, float *y);
  /// Bytes y[i] = the integer nearest to x[i] / scale or x[i]·scale, half to even, + zero, within low ... high; zero for
  /// NaN.
  void (*quantize_quotients)(long n, const float *x, float scale, int32_t zero, int32_t low, int32_t high, void *y);
  void (*quantize_products)(long n, const float *x, float scale, int32_t zero, int32_t low, int32_t high, void *y);
  /// The same of x[i][lane]·scales[lane] for i < n.
  void (*quantize_lanes)(
      long n, const float *x, const float *scales, int32_t zero, int32_t low, int32_t high, void *y);
  /// Of whole numbers.
  void (*narrow_to_integers)(long n, const float *x, int32_t *y);
  /// y[i] = x[i] - zero.
  void (*center_unsigned)(long n, const uint8_t *x, int32_t zero, int16_t *y);
  void (*center_signed)(long n, const int8_t *x, int32_t zero, int16_t *y);
} Kernels;

/// The tables this build has, best first; none from kernels_count on.
extern const long kernels_count;
const Kernels *kernels_at(long index);

/// Whether this CPU, and its operating system, can run that table.
bool kernels_run_here(long index);

/// Tells the CPU that this thread is waiting in a loop.
static inline void kernels_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Takes denormal numbers for 0 on this thread from now on, and tells how it was before.
///
/// Sums of products lose nothing by it that is seen beside their largest number, while on many CPUs each denormal number
/// costs a hundred times what another does: activations such as x·sigmoid(x) bring forth many.
static inline uint64_t kernels_flush_denormals(void) {
#if defined(__x86_64__)
  uint32_t mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);
  return mode;
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1 << 24));
  return mode;
#else
  return 0;
#endif
}

static inline void kernels_restore_denormals(uint64_t mode) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#endif
}

#pragma clang assume_nonnull end
