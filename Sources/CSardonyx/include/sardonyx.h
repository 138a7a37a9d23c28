/// Sardonyx runs ONNX models on the CPU: its library for C and for whatever calls C.
///
/// # Rules that hold everywhere
///
/// - Handles are pointers to types that are declared here and defined nowhere. Whoever gets one from a
///   function with the words "new handle" releases it once, by the function `…_release` of its type,
///   which takes NULL as well. Releasing a model does not disturb sessions made of it.
/// - Functions that may fail return a `sardonyx_code`. Anything but `SARDONYX_OK` leaves their results
///   as they were. Their last argument may be NULL; else an error sets it to a new handle.
/// - NULL where a handle, a text or a place for a result has to be is an error (`SARDONYX_MISMATCH`);
///   functions without an error return 0, false or NULL for it.
/// - Texts are UTF-8 and end with a zero byte. Texts that functions return belong to the handle they
///   were asked of and stay as long as it does.
/// - Structures begin with their own size, `sizeof` of the type, which the caller sets: members that a later
///   version adds at the end are then 0 for callers that do not know them. All other members of an
///   options structure may be 0, which means the default: `sardonyx_session_options options =
///   {.size = sizeof options};`.
/// - Handles never change after they were made, but for cancellations, and may be used by any number of
///   threads at a time. A handle is released when no other thread uses it any more.
/// - No function lets a signal, an exception or a long jump pass through it, and none prints.
/// - Once loaded, the shared library stays until the process ends, whatever `dlclose` is told: its threads
///   wait in it for the next run.
///
/// # Compatibility
///
/// Within one version of the shared object (`libsardonyx.so.0`) no function vanishes or changes its
/// parameters, no constant changes its number, and structures grow at their ends alone.
#ifndef SARDONYX_H
#define SARDONYX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Handles ------------------------------------------------------------------------------------

/// What went wrong.
typedef struct sardonyx_error sardonyx_error;
/// A model as loaded from its file.
typedef struct sardonyx_model sardonyx_model;
/// A model prepared for running; runs may overlap.
typedef struct sardonyx_session sardonyx_session;
/// A tensor, sequence, optional or map.
typedef struct sardonyx_value sardonyx_value;
/// A switch that ends runs.
typedef struct sardonyx_cancellation sardonyx_cancellation;
/// Two ways to compute a model, compared.
typedef struct sardonyx_comparison sardonyx_comparison;
/// What passes did to a model.
typedef struct sardonyx_notes sardonyx_notes;
/// What can be said of a model without running it.
typedef struct sardonyx_inspection sardonyx_inspection;

// ---- Version ------------------------------------------------------------------------------------

/// The version of the library, such as "0.1.0". The text stays for ever.
const char *sardonyx_version(void);

/// Whether the library was built with a feature: "images" (the operator ImageDecoder).
bool sardonyx_has_feature(const char *name);

/// The instruction set that computes, such as "avx512vnni", as the machine has it or the environment
/// variable SARDONYX_ISA wants it. The text stays for ever.
const char *sardonyx_instruction_set(void);

// ---- Errors -------------------------------------------------------------------------------------

/// 0, or the kind of an error.
typedef int32_t sardonyx_code;

enum {
  SARDONYX_OK = 0,
  /// A file cannot be opened or read.
  SARDONYX_UNREADABLE = 1,
  /// The bytes are not a well-formed model.
  SARDONYX_MALFORMED = 2,
  /// The model is valid ONNX, but uses something this build does not have.
  SARDONYX_UNSUPPORTED = 3,
  /// The model contradicts the ONNX specification or itself.
  SARDONYX_INVALID = 4,
  /// What the caller gave does not fit the model, or the function.
  SARDONYX_MISMATCH = 5,
  /// A limit of size, depth, memory or time was passed.
  SARDONYX_LIMIT = 6,
  /// The caller cancelled the run.
  SARDONYX_CANCELLED = 7
};

/// The kind of fault.
sardonyx_code sardonyx_error_code(const sardonyx_error *error);

/// The fact, with what was expected and what was found.
const char *sardonyx_error_message(const sardonyx_error *error);

/// What the reader can do about it; NULL where that is not known.
const char *sardonyx_error_hint(const sardonyx_error *error);

/// The node, its operator, and the types and shapes of its inputs; NULL where it is no node's fault.
const char *sardonyx_error_node(const sardonyx_error *error);

/// The file that the fault lies in; NULL where it is no file's.
const char *sardonyx_error_file(const sardonyx_error *error);

/// All of it as the command `sardonyx` prints it: file, node, message, and the hint on a line of its own.
const char *sardonyx_error_description(const sardonyx_error *error);

/// Releases an error.
void sardonyx_error_release(sardonyx_error *error);

// ---- Models -------------------------------------------------------------------------------------

/// Types of elements, by ONNX's numbers (TensorProto.DataType). Elements lie in memory little-endian, in
/// row-major order, and take whole bytes: those of less than 8 bits one each, integers among them
/// sign-extended.
enum {
  SARDONYX_FLOAT = 1,
  SARDONYX_UINT8 = 2,
  SARDONYX_INT8 = 3,
  SARDONYX_UINT16 = 4,
  SARDONYX_INT16 = 5,
  SARDONYX_INT32 = 6,
  SARDONYX_INT64 = 7,
  SARDONYX_STRING = 8,
  SARDONYX_BOOL = 9,
  SARDONYX_FLOAT16 = 10,
  SARDONYX_DOUBLE = 11,
  SARDONYX_UINT32 = 12,
  SARDONYX_UINT64 = 13,
  SARDONYX_COMPLEX64 = 14,
  SARDONYX_COMPLEX128 = 15,
  SARDONYX_BFLOAT16 = 16,
  SARDONYX_FLOAT8E4M3FN = 17,
  SARDONYX_FLOAT8E4M3FNUZ = 18,
  SARDONYX_FLOAT8E5M2 = 19,
  SARDONYX_FLOAT8E5M2FNUZ = 20,
  SARDONYX_UINT4 = 21,
  SARDONYX_INT4 = 22,
  SARDONYX_FLOAT4E2M1 = 23,
  SARDONYX_FLOAT8E8M0 = 24,
  SARDONYX_UINT2 = 25,
  SARDONYX_INT2 = 26,
  SARDONYX_FLOAT6E2M3 = 27,
  SARDONYX_FLOAT6E3M2 = 28
};

/// An input or output of a model.
typedef struct sardonyx_description {
  /// `sizeof(sardonyx_description)`, set by the caller.
  size_t size;
  const char *name;
  /// As ONNX spells it, such as "tensor(float)" or "seq(map(int64,tensor(float)))"; NULL where the
  /// file does not say.
  const char *type;
  /// Of a tensor; else 0.
  int32_t element_type;
  /// The number of axes; -1 where the file does not say, and for what is no tensor.
  int32_t rank;
  /// One per axis; -1 where it is not known before a run.
  const int64_t *extents;
  /// One per axis: the name that stands for its extent, such as "batch"; NULL for none.
  const char *const *symbols;
  /// Whether the file has a value for an input that is not given.
  bool has_default;
} sardonyx_description;

/// What a file says of its model; "" where it says nothing.
typedef struct sardonyx_information {
  /// `sizeof(sardonyx_information)`, set by the caller.
  size_t size;
  /// The tool that wrote the file, and its version.
  const char *producer_name;
  const char *producer_version;
  /// The model's namespace, such as "com.example".
  const char *domain;
  const char *documentation;
  const char *graph_name;
  const char *graph_documentation;
  /// The model's own version.
  int64_t model_version;
  /// The version of the file format.
  int64_t ir_version;
} sardonyx_information;

/// Loads a model file, whose weights stay in the file's pages: it is to be replaced by renaming alone
/// while the model, or a session of it, lives. External data is looked for beside it.
/// @param model  set to a new handle.
/// @return UNREADABLE, MALFORMED, INVALID, LIMIT, or UNSUPPORTED, which names all operators missing.
sardonyx_code sardonyx_model_open(
    const char *path, sardonyx_model **model, sardonyx_error **error);

/// Loads a model from the bytes of its file, which are copied.
/// @param directory  where external data is looked for; NULL refuses it.
/// @param model      set to a new handle.
/// @return as `sardonyx_model_open`.
sardonyx_code sardonyx_model_open_bytes(
    const void *bytes, size_t byte_count, const char *directory, sardonyx_model **model,
    sardonyx_error **error);

/// Releases a model.
void sardonyx_model_release(sardonyx_model *model);

/// The number of inputs, those with a default among them.
size_t sardonyx_model_input_count(const sardonyx_model *model);

/// The number of outputs.
size_t sardonyx_model_output_count(const sardonyx_model *model);

/// Describes the input of this position, counted from 0 in the file's order.
/// @return whether there is one.
bool sardonyx_model_input(
    const sardonyx_model *model, size_t index, sardonyx_description *description);

/// Describes the output of this position, counted from 0 in the file's order.
/// @return whether there is one.
bool sardonyx_model_output(
    const sardonyx_model *model, size_t index, sardonyx_description *description);

/// Tells what the file says of the model.
/// @return whether it could be told.
bool sardonyx_model_information(const sardonyx_model *model, sardonyx_information *information);

/// The number of remarks in the file's metadata.
size_t sardonyx_model_metadata_count(const sardonyx_model *model);

/// Key and text of the remark of this position, in the order of the keys; either place may be NULL.
/// @return whether there is one.
bool sardonyx_model_metadata(
    const sardonyx_model *model, size_t index, const char **key, const char **text);

/// The number of operator sets that the model imports.
size_t sardonyx_model_operator_set_count(const sardonyx_model *model);

/// Domain ("" for ONNX's own) and version of the operator set of this position; either place may be NULL.
/// @return whether there is one.
bool sardonyx_model_operator_set(
    const sardonyx_model *model, size_t index, const char **domain, int64_t *version);

/// Folds BatchNormalization into weights: a model of ONNX's own operators for any engine.
/// @param folded  set to a new handle.
/// @param notes   set to a new handle: what became of each BatchNormalization; NULL for nothing.
/// @return UNSUPPORTED where the model calls operators of several versions of one set.
sardonyx_code sardonyx_model_fold(
    const sardonyx_model *model, sardonyx_model **folded, sardonyx_notes **notes,
    sardonyx_error **error);

/// Writes a model's file: whole or not at all, in place of one that was there.
/// @return UNREADABLE, or LIMIT for more than 2 GiB.
sardonyx_code sardonyx_model_write(
    const sardonyx_model *model, const char *path, sardonyx_error **error);

/// The bytes of a model's file.
/// @param bytes  set to a new handle, of a tensor of uint8.
/// @return LIMIT for more than 2 GiB.
sardonyx_code sardonyx_model_bytes(
    const sardonyx_model *model, sardonyx_value **bytes, sardonyx_error **error);

// ---- Values -------------------------------------------------------------------------------------

/// What a value is.
enum {
  SARDONYX_TENSOR = 1,
  SARDONYX_SEQUENCE = 2,
  SARDONYX_OPTIONAL = 3,
  SARDONYX_MAP = 4
};

/// A tensor whose elements stay in the caller's memory, which is not to change or to go before this
/// value, and those that it is a part of, are released. Outputs of runs never lie there.
///
/// Copied are only elements that no run can read where they are: at an address that is no multiple of
/// their size, truth values other than 0 and 1, and those of less than 8 bits with anything else in their bytes.
/// @param element_type  any but SARDONYX_STRING.
/// @param extents       `rank` of them; may be NULL for rank 0.
/// @param elements      may be NULL where there are none.
/// @param byte_count    must be the product of the extents times the size of an element.
/// @param value         set to a new handle.
sardonyx_code sardonyx_tensor_borrow(
    int32_t element_type, const int64_t *extents, size_t rank, const void *elements,
    size_t byte_count, sardonyx_value **value, sardonyx_error **error);

/// The same with a copy of the elements.
sardonyx_code sardonyx_tensor_copy(
    int32_t element_type, const int64_t *extents, size_t rank, const void *elements,
    size_t byte_count, sardonyx_value **value, sardonyx_error **error);

/// A tensor of texts, which are copied.
/// @param texts    `count` of them, the product of the extents.
/// @param lengths  bytes of each; NULL where all end with a zero byte and hold no other.
/// @param value    set to a new handle.
sardonyx_code sardonyx_tensor_of_strings(
    const int64_t *extents, size_t rank, const char *const *texts, const size_t *lengths,
    size_t count, sardonyx_value **value, sardonyx_error **error);

/// A sequence.
/// @param type   of the sequence, as in `sardonyx_description`, such as "seq(tensor(float))".
/// @param parts  `count` values of one type; they may be released afterwards.
/// @param value  set to a new handle.
sardonyx_code sardonyx_sequence(
    const char *type, const sardonyx_value *const *parts, size_t count, sardonyx_value **value,
    sardonyx_error **error);

/// An optional.
/// @param type   of the optional, as in `sardonyx_description`, such as "optional(tensor(float))".
/// @param part   what it holds; NULL for nothing.
/// @param value  set to a new handle.
sardonyx_code sardonyx_optional(
    const char *type, const sardonyx_value *part, sardonyx_value **value, sardonyx_error **error);

/// A map.
/// @param keys      a tensor of rank 1, of integers or texts.
/// @param elements  a tensor with as many elements.
/// @param value     set to a new handle.
sardonyx_code sardonyx_map(
    const sardonyx_value *keys, const sardonyx_value *elements, sardonyx_value **value,
    sardonyx_error **error);

/// SARDONYX_TENSOR, SARDONYX_SEQUENCE, SARDONYX_OPTIONAL or SARDONYX_MAP.
int32_t sardonyx_value_kind(const sardonyx_value *value);

/// The type as in `sardonyx_description`.
const char *sardonyx_value_type(const sardonyx_value *value);

/// The type of a tensor's elements; 0 for what is no tensor.
int32_t sardonyx_value_element_type(const sardonyx_value *value);

/// The number of a tensor's axes; 0 for what is no tensor.
size_t sardonyx_value_rank(const sardonyx_value *value);

/// The extents of a tensor's axes; stays as long as the handle.
const int64_t *sardonyx_value_extents(const sardonyx_value *value);

/// The bytes that a tensor's elements take; 0 for texts and for what is no tensor.
size_t sardonyx_value_byte_count(const sardonyx_value *value);

/// A tensor's elements where they lie, not to be written to; stay as long as the handle. NULL for texts
/// and for what is no tensor.
const void *sardonyx_value_elements(const sardonyx_value *value);

/// The text of this place, in row-major order, and its length in bytes, for texts that hold zeros.
/// @param length  may be NULL.
/// @return NULL where there is none; stays as long as the handle.
const char *sardonyx_value_string(const sardonyx_value *value, size_t index, size_t *length);

/// The parts of a value: the values of a sequence; what an optional holds, 0 or 1; of a map 2, a
/// tensor of its keys and one of its values; none of a tensor.
size_t sardonyx_value_part_count(const sardonyx_value *value);

/// A new handle for the part of this position, which outlives the whole; NULL where there is none.
sardonyx_value *sardonyx_value_part(const sardonyx_value *value, size_t index);

/// Releases a value.
void sardonyx_value_release(sardonyx_value *value);

// ---- Sessions -----------------------------------------------------------------------------------

/// What becomes of BatchNormalization.
enum {
  /// Folded into the weights before or behind it wherever that is exact.
  SARDONYX_FOLDED = 0,
  /// Computed as written.
  SARDONYX_UNFOLDED = 1,
  /// Computed with the statistics of the run's batch, as in training.
  SARDONYX_BATCH = 2
};

/// How to prepare and run a model; all members but `size` may be 0.
typedef struct sardonyx_session_options {
  /// `sizeof(sardonyx_session_options)`.
  size_t size;
  /// Threads of a run, up to 1024; 0 for as many as affinity, cgroup quota and cores allow.
  int32_t threads;
  /// SARDONYX_FOLDED, SARDONYX_UNFOLDED or SARDONYX_BATCH.
  int32_t batch_normalization;
  /// Seconds after which a run, and the preparation, end with SARDONYX_LIMIT; 0 for never.
  double time_limit;
  /// Bytes that a run may hold at a time, packed weights included; 0 for what the machine has.
  uint64_t memory_limit;
  /// For random operators that state none.
  uint64_t seed;
  /// Names of `tap_count` values inside the graph that are to be outputs as well.
  const char *const *taps;
  size_t tap_count;
  /// Whether convolutions are to be computed by sums over their taps alone, not by Winograd's algorithm.
  bool without_winograd;
} sardonyx_session_options;

/// How to do one run; all members but `size` may be 0.
typedef struct sardonyx_run_options {
  /// `sizeof(sardonyx_run_options)`.
  size_t size;
  /// Ends the run; NULL for nothing.
  sardonyx_cancellation *cancellation;
  /// One per output asked for: where its elements are to be written, and how many bytes may be; NULL for
  /// memory of the library's. Either array may be NULL for all.
  void *const *output_memory;
  const size_t *output_byte_counts;
} sardonyx_run_options;

/// Prepares a model: folds, plans, packs weights.
/// @param options  NULL for defaults.
/// @param session  set to a new handle.
/// @return MISMATCH for an option out of range or a tap that does not exist, INVALID, LIMIT.
sardonyx_code sardonyx_session_create(
    const sardonyx_model *model, const sardonyx_session_options *options,
    sardonyx_session **session, sardonyx_error **error);

/// Releases a session, when its runs have ended.
void sardonyx_session_release(sardonyx_session *session);

/// Threads of a run.
int32_t sardonyx_session_threads(const sardonyx_session *session);

/// What passes did to the session's model and declined to do.
/// @param notes  set to a new handle.
sardonyx_code sardonyx_session_notes(
    const sardonyx_session *session, sardonyx_notes **notes, sardonyx_error **error);

/// Runs the model; may be called by any number of threads at a time.
///
/// With memory for an output its elements are written there, by the step that makes them where that can
/// be and else by a copy, and the output's value is one that lies there: the memory is to stay
/// until that is released. It must not overlap other memory or an input; after an error it may hold anything.
/// @param input_names   `input_count` names of `inputs`; those with a default may be left out.
/// @param output_names  `output_count` names of outputs or taps.
/// @param outputs       `output_count` places, each set to a new handle; after an error to NULL.
/// @param options       NULL for defaults.
/// @return MISMATCH for names, types, shapes or memory that do not fit; LIMIT; CANCELLED; INVALID or
///         UNSUPPORTED where a node meets what it cannot compute.
sardonyx_code sardonyx_session_run(
    const sardonyx_session *session, const char *const *input_names,
    const sardonyx_value *const *inputs, size_t input_count, const char *const *output_names,
    size_t output_count, sardonyx_value **outputs, const sardonyx_run_options *options,
    sardonyx_error **error);

/// A new handle for a switch that is off.
sardonyx_cancellation *sardonyx_cancellation_create(void);

/// Ends the runs that were given it soon, and those that will be at once. May be called by any thread.
void sardonyx_cancellation_cancel(sardonyx_cancellation *cancellation);

/// Releases a cancellation; a run that was given it keeps it as long as it needs it.
void sardonyx_cancellation_release(sardonyx_cancellation *cancellation);

// ---- Comparing, notes, inspecting -----------------------------------------------------------------

/// How to compare; all members but `size` may be 0.
typedef struct sardonyx_comparison_options {
  /// `sizeof(sardonyx_comparison_options)`.
  size_t size;
  /// What may differ relative to the largest magnitude; 0 for 1e-5. `sardonyx help tolerances` tells more.
  double relative_tolerance;
  /// Added to that.
  double absolute_tolerance;
  /// Whether to compare values inside the graph as well.
  bool layers;
} sardonyx_comparison_options;

/// One value compared with its reference.
typedef struct sardonyx_comparison_entry {
  /// `sizeof(sardonyx_comparison_entry)`, set by the caller.
  size_t size;
  const char *name;
  /// The operator that makes it in the reference; "" for outputs.
  const char *operator_name;
  bool passed;
  /// Whether the two could be measured; else the numbers below are 0 and `remark` tells why not.
  bool is_measured;
  /// The largest |x - y|, what was allowed, and the largest |y|.
  double max_absolute;
  double allowed;
  double magnitude;
  /// `max_absolute` relative to `magnitude`.
  double relative;
  /// The root of the mean of (x - y)².
  double rms;
  /// The cosine of the angle between x and y.
  double cosine;
  /// The largest distance in units in the last place; -1 for other types than float and double.
  int64_t ulp;
  /// What differs, where that is not a number; else NULL.
  const char *remark;
} sardonyx_comparison_entry;

/// What a pass did or declined to do.
typedef struct sardonyx_note {
  /// `sizeof(sardonyx_note)`, set by the caller.
  size_t size;
  /// The pass's name.
  const char *pass;
  /// The node's name.
  const char *node;
  /// What was done, or why not.
  const char *text;
  bool is_done;
} sardonyx_note;

/// The size of a model.
typedef struct sardonyx_summary {
  /// `sizeof(sardonyx_summary)`, set by the caller.
  size_t size;
  /// Elements of all constants, and the bytes they take in the file.
  uint64_t parameter_count;
  uint64_t parameter_byte_count;
  /// Of one run; -1 where shapes are not known.
  int64_t multiply_adds;
} sardonyx_summary;

/// Runs a model as `options` prepare it beside one with BatchNormalization as written, and compares.
/// @param reference   another model with values of the same names; NULL for the model itself.
/// @param options     NULL for defaults.
/// @param tolerance   NULL for defaults.
/// @param comparison  set to a new handle.
/// @return what `sardonyx_session_create` and `sardonyx_session_run` do.
sardonyx_code sardonyx_compare(
    const sardonyx_model *model, const sardonyx_model *reference, const char *const *input_names,
    const sardonyx_value *const *inputs, size_t input_count,
    const sardonyx_session_options *options, const sardonyx_comparison_options *tolerance,
    sardonyx_comparison **comparison, sardonyx_error **error);

/// Folds as `sardonyx_model_fold` does, and takes folds back until no output for these inputs is farther from that
/// of the model as written than a quarter of the tolerance; the rest is for engines that sum in another order.
/// @param options    NULL for defaults; the time limit is that of folding and of all runs together.
/// @param tolerance  NULL for defaults.
/// @param folded     set to a new handle.
/// @param notes      set to a new handle: what became of each BatchNormalization; NULL for nothing.
/// @return what `sardonyx_model_fold`, `sardonyx_session_create` and `sardonyx_session_run` do.
sardonyx_code sardonyx_model_fold_within(
    const sardonyx_model *model, const char *const *input_names,
    const sardonyx_value *const *inputs, size_t input_count,
    const sardonyx_session_options *options, const sardonyx_comparison_options *tolerance,
    sardonyx_model **folded, sardonyx_notes **notes, sardonyx_error **error);

/// Whether all outputs are within tolerance.
bool sardonyx_comparison_passed(const sardonyx_comparison *comparison);

/// The number of outputs compared.
size_t sardonyx_comparison_output_count(const sardonyx_comparison *comparison);

/// The number of inner values compared, in the order in which the reference computes them.
size_t sardonyx_comparison_layer_count(const sardonyx_comparison *comparison);

/// Tells of the output of this position.
/// @return whether there is one.
bool sardonyx_comparison_output(
    const sardonyx_comparison *comparison, size_t index, sardonyx_comparison_entry *entry);

/// Tells of the inner value of this position.
/// @return whether there is one.
bool sardonyx_comparison_layer(
    const sardonyx_comparison *comparison, size_t index, sardonyx_comparison_entry *entry);

/// Releases a comparison.
void sardonyx_comparison_release(sardonyx_comparison *comparison);

/// The number of notes.
size_t sardonyx_notes_count(const sardonyx_notes *notes);

/// Tells the note of this position.
/// @return whether there is one.
bool sardonyx_notes_note(const sardonyx_notes *notes, size_t index, sardonyx_note *note);

/// Releases notes.
void sardonyx_notes_release(sardonyx_notes *notes);

/// Looks at a model.
/// @param symbols     `count` names of symbolic dimensions, and in `extents` what is to stand for them.
/// @param inspection  set to a new handle.
sardonyx_code sardonyx_model_inspect(
    const sardonyx_model *model, const char *const *symbols, const int64_t *extents, size_t count,
    sardonyx_inspection **inspection, sardonyx_error **error);

/// Tells the model's size.
/// @return whether it could be told.
bool sardonyx_inspection_summary(
    const sardonyx_inspection *inspection, sardonyx_summary *summary);

/// The number of different operators.
size_t sardonyx_inspection_operator_count(const sardonyx_inspection *inspection);

/// Name and number of the operator of this position, the most frequent first; either place may be NULL.
/// @return whether there is one.
bool sardonyx_inspection_operator(
    const sardonyx_inspection *inspection, size_t index, const char **name, uint64_t *count);

/// Releases an inspection.
void sardonyx_inspection_release(sardonyx_inspection *inspection);

#ifdef __cplusplus
}
#endif

#endif
