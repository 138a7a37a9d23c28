// Tests of sardonyx.h; tools/test-c compiles and runs them against the installed header and library.
//
//     tests MODEL     where MODEL is Models/digits/digits_resnet_torchscript.onnx
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <sardonyx.h>
#include <stdio.h>
#include <time.h>

#include "tiny.h"

static int checks, failures;

#define CHECK(condition) check((condition) != 0, #condition, __LINE__)

static void check(int holds, const char *what, int line) {
  checks++;
  if (holds) return;
  failures++;
  fprintf(stderr, "tests.c:%d: %s\n", line, what);
}

/// Checks that a text is what is expected.
static void check_text(const char *text, const char *expected, int line) {
  checks++;
  if (text && !strcmp(text, expected)) return;
  failures++;
  fprintf(stderr, "tests.c:%d: got \"%s\"\n  expected \"%s\"\n", line, text ? text : "NULL", expected);
}

#define CHECK_TEXT(text, expected) check_text(text, expected, __LINE__)

/// Checks that a call succeeded; tells what it said else.
static void succeed(sardonyx_code code, sardonyx_error *error, int line) {
  checks++;
  if (code == SARDONYX_OK) return;
  failures++;
  fprintf(stderr, "tests.c:%d: %s\n", line, sardonyx_error_description(error));
  sardonyx_error_release(error);
}

#define SUCCEED(call) \
  do { \
    sardonyx_error *error = NULL; \
    succeed(call, error, __LINE__); \
  } while (0)

/// Checks code and whole sentence of a call that fails.
#define FAIL(call, code, sentence) \
  do { \
    sardonyx_error *error = NULL; \
    CHECK((call) == (code)); \
    CHECK(sardonyx_error_code(error) == (code)); \
    CHECK_TEXT(sardonyx_error_description(error), sentence); \
    sardonyx_error_release(error); \
  } while (0)

static sardonyx_session *session_of(const Message *graph, const sardonyx_session_options *options) {
  const Message file = model_of(graph);
  sardonyx_model *model = NULL;
  sardonyx_session *session = NULL;
  SUCCEED(sardonyx_model_open_bytes(file.bytes, file.count, NULL, &model, &error));
  SUCCEED(sardonyx_session_create(model, options, &session, &error));
  sardonyx_model_release(model);
  return session;
}

static sardonyx_value *floats(const float *elements, int64_t count) {
  sardonyx_value *value = NULL;
  SUCCEED(sardonyx_tensor_borrow(
      SARDONYX_FLOAT, &count, 1, elements, (size_t)count * sizeof *elements, &value, &error));
  return value;
}

/// Runs a session on its input x for its output y.
static sardonyx_value *run(const sardonyx_session *session, const sardonyx_value *x) {
  const char *input = "x", *output = "y";
  sardonyx_value *y = NULL;
  SUCCEED(sardonyx_session_run(session, &input, &x, 1, &output, 1, &y, NULL, &error));
  return y;
}

/// y = op(x), tensors of an element type along an axis N.
static Message unary_graph(const char *operator_name, int from, int to) {
  const int64_t extents[] = {-1};
  const Message input = tensor_type(from, extents, 1), output = tensor_type(to, extents, 1);
  Message graph = {.count = 0};
  put_node(&graph, "the node", operator_name, "", "x", "y", NULL);
  put_text(&graph, 2, "tiny");
  put_value(&graph, 11, "x", &input);
  put_value(&graph, 12, "y", &output);
  return graph;
}

static void test_versions(void) {
  CHECK_TEXT(sardonyx_version(), "0.1.0");
  CHECK(!sardonyx_has_feature("no such feature"));
  CHECK(!sardonyx_has_feature(NULL));
  CHECK(strlen(sardonyx_instruction_set()) > 2);
}

static void test_models(const char *path) {
  sardonyx_model *model = NULL;
  SUCCEED(sardonyx_model_open(path, &model, &error));
  CHECK(sardonyx_model_input_count(model) == 1);
  CHECK(sardonyx_model_output_count(model) == 1);
  sardonyx_description input = {.size = sizeof input};
  CHECK(sardonyx_model_input(model, 0, &input));
  CHECK_TEXT(input.name, "image");
  CHECK_TEXT(input.type, "tensor(float)");
  CHECK(input.element_type == SARDONYX_FLOAT);
  CHECK(input.rank == 4);
  CHECK(input.extents[0] == -1 && input.extents[1] == 1 && input.extents[2] == 8);
  CHECK_TEXT(input.symbols[0], "N");
  CHECK(input.symbols[1] == NULL);
  CHECK(!input.has_default);
  CHECK(!sardonyx_model_input(model, 1, &input));
  sardonyx_description output = {.size = sizeof output};
  CHECK(sardonyx_model_output(model, 0, &output));
  CHECK_TEXT(output.name, "probabilities");
  sardonyx_model_release(model);
}

static void test_information(void) {
  const Message graph = unary_graph("Relu", SARDONYX_FLOAT, SARDONYX_FLOAT);
  const Message file = model_of(&graph);
  sardonyx_model *model = NULL;
  SUCCEED(sardonyx_model_open_bytes(file.bytes, file.count, NULL, &model, &error));
  sardonyx_information information = {.size = sizeof information};
  CHECK(sardonyx_model_information(model, &information));
  CHECK_TEXT(information.producer_name, "tests");
  CHECK_TEXT(information.graph_name, "tiny");
  CHECK(information.ir_version == 9);
  CHECK(sardonyx_model_metadata_count(model) == 1);
  const char *key = NULL, *text = NULL;
  CHECK(sardonyx_model_metadata(model, 0, &key, &text));
  CHECK_TEXT(key, "purpose");
  CHECK_TEXT(text, "testing");
  CHECK(!sardonyx_model_metadata(model, 1, &key, &text));
  int64_t version = 0;
  CHECK(sardonyx_model_operator_set_count(model) == 2);
  CHECK(sardonyx_model_operator_set(model, 0, NULL, &version));
  CHECK(version == 20);
  // A caller built with an older header, which knew less, and one with a newer one.
  struct {
    sardonyx_information known;
    uint64_t later;
  } other = {.known = {.size = offsetof(sardonyx_information, domain)}, .later = 7};
  other.known.domain = "untouched";
  CHECK(sardonyx_model_information(model, &other.known));
  CHECK_TEXT(other.known.producer_name, "tests");
  CHECK_TEXT(other.known.domain, "untouched");
  other.known.size = sizeof other;
  CHECK(sardonyx_model_information(model, &other.known));
  CHECK(other.later == 0);
  other.known.size = 0;
  CHECK(!sardonyx_model_information(model, &other.known));
  sardonyx_model_release(model);
}

static void test_borrowing(void) {
  const Message relu = unary_graph("Relu", SARDONYX_FLOAT, SARDONYX_FLOAT);
  sardonyx_session *session = session_of(&relu, NULL);
  float elements[] = {1, -2, 3};
  sardonyx_value *x = floats(elements, 3);
  CHECK(sardonyx_value_elements(x) == elements);
  CHECK(sardonyx_value_kind(x) == SARDONYX_TENSOR);
  CHECK_TEXT(sardonyx_value_type(x), "tensor(float)");
  sardonyx_value *y = run(session, x);
  CHECK(sardonyx_value_element_type(y) == SARDONYX_FLOAT);
  CHECK(sardonyx_value_rank(y) == 1);
  CHECK(sardonyx_value_extents(y)[0] == 3);
  CHECK(sardonyx_value_byte_count(y) == 12);
  const float *results = sardonyx_value_elements(y);
  CHECK(results[0] == 1 && results[1] == 0 && results[2] == 3);
  // The memory is read in each run.
  elements[1] = 5;
  sardonyx_value *again = run(session, x);
  CHECK(((const float *)sardonyx_value_elements(again))[1] == 5);
  CHECK(results[1] == 0);
  sardonyx_value_release(x);
  sardonyx_value_release(y);
  sardonyx_value_release(again);
  sardonyx_session_release(session);
}

static void test_that_outputs_never_lie_in_inputs(void) {
  const Message identity = unary_graph("Identity", SARDONYX_FLOAT, SARDONYX_FLOAT);
  sardonyx_session *session = session_of(&identity, NULL);
  float *elements = malloc(4 * sizeof *elements);
  for (int index = 0; index < 4; index++) elements[index] = (float)index;
  sardonyx_value *x = floats(elements, 4), *y = run(session, x);
  sardonyx_value_release(x);
  free(elements);
  CHECK(((const float *)sardonyx_value_elements(y))[3] == 3);
  sardonyx_value_release(y);
  sardonyx_session_release(session);
}

static void test_output_memory(void) {
  const Message relu = unary_graph("Relu", SARDONYX_FLOAT, SARDONYX_FLOAT);
  sardonyx_session *session = session_of(&relu, NULL);
  const float elements[] = {1, -2, 3};
  float results[4] = {9, 9, 9, 9};
  const sardonyx_value *x = floats(elements, 3);
  const char *input = "x", *output = "y";
  void *memory = results;
  size_t byte_count = sizeof results;
  sardonyx_run_options options = {.size = sizeof options};
  options.output_memory = &memory;
  options.output_byte_counts = &byte_count;
  sardonyx_value *y = NULL;
  SUCCEED(sardonyx_session_run(session, &input, &x, 1, &output, 1, &y, &options, &error));
  CHECK(sardonyx_value_elements(y) == results);
  CHECK(sardonyx_value_byte_count(y) == 12);
  CHECK(results[0] == 1 && results[1] == 0 && results[2] == 3 && results[3] == 9);
  sardonyx_value_release(y);
  byte_count = 8;
  FAIL(
      sardonyx_session_run(session, &input, &x, 1, &output, 1, &y, &options, &error),
      SARDONYX_MISMATCH,
      "memory for output \"y\": expected 12 bytes or more for float[3], got 8");
  CHECK(y == NULL);
  memory = (void *)elements;
  byte_count = 12;
  FAIL(
      sardonyx_session_run(session, &input, &x, 1, &output, 1, &y, &options, &error),
      SARDONYX_MISMATCH, "output \"y\": expected memory of its own, got some of input \"x\"");
  sardonyx_value_release((sardonyx_value *)x);
  sardonyx_session_release(session);
}

static void test_strings(void) {
  const Message identity = unary_graph("Identity", SARDONYX_STRING, SARDONYX_STRING);
  sardonyx_session *session = session_of(&identity, NULL);
  const char *texts[] = {"", "a\0b", "naïve"};
  const size_t lengths[] = {0, 3, 6};
  const int64_t extent = 3;
  sardonyx_value *x = NULL;
  SUCCEED(sardonyx_tensor_of_strings(&extent, 1, texts, lengths, 3, &x, &error));
  sardonyx_value *y = run(session, x);
  sardonyx_value_release(x);
  CHECK(sardonyx_value_elements(y) == NULL);
  CHECK(sardonyx_value_byte_count(y) == 0);
  size_t length = 0;
  for (size_t index = 0; index < 3; index++) {
    const char *text = sardonyx_value_string(y, index, &length);
    CHECK(length == lengths[index] && !memcmp(text, texts[index], length + 1));
  }
  CHECK(sardonyx_value_string(y, 3, NULL) == NULL);
  sardonyx_value_release(y);
  sardonyx_session_release(session);
}

static void test_containers(void) {
  const int64_t extents[] = {-1};
  const Message tensor = tensor_type(SARDONYX_FLOAT, extents, 1);
  const float elements[] = {1, 2};
  sardonyx_value *x = floats(elements, 2);

  const Message sequence = wrapped_type(4, &tensor);
  Message graph = {.count = 0};
  put_node(&graph, "join", "SequenceInsert", "", "x t", "y", NULL);
  put_text(&graph, 2, "tiny");
  put_value(&graph, 11, "x", &sequence);
  put_value(&graph, 11, "t", &tensor);
  put_value(&graph, 12, "y", &sequence);
  sardonyx_session *session = session_of(&graph, NULL);
  sardonyx_value *list = NULL, *longer = NULL;
  const sardonyx_value *part = x;
  SUCCEED(sardonyx_sequence("seq(tensor(float))", &part, 1, &list, &error));
  const char *names[] = {"x", "t"}, *output = "y";
  const sardonyx_value *inputs[] = {list, x};
  SUCCEED(sardonyx_session_run(session, names, inputs, 2, &output, 1, &longer, NULL, &error));
  CHECK(sardonyx_value_kind(longer) == SARDONYX_SEQUENCE);
  CHECK(sardonyx_value_part_count(longer) == 2);
  sardonyx_value *last = sardonyx_value_part(longer, 1);
  sardonyx_value_release(longer);
  CHECK(sardonyx_value_elements(last) != elements);
  CHECK(((const float *)sardonyx_value_elements(last))[1] == 2);
  sardonyx_value_release(last);
  sardonyx_value_release(list);
  sardonyx_session_release(session);
  FAIL(
      sardonyx_sequence("seq(tensor(int64))", &part, 1, &list, &error), SARDONYX_MISMATCH,
      "parts[0]: expected tensor(int64), got tensor(float)");
  FAIL(
      sardonyx_sequence("list", NULL, 0, &list, &error), SARDONYX_MISMATCH,
      "type: expected one such as \"seq(tensor(float))\", got \"list\"");

  const Message optional = wrapped_type(9, &tensor);
  graph.count = 0;
  put_node(&graph, "get", "OptionalGetElement", "", "x", "y", NULL);
  put_text(&graph, 2, "tiny");
  put_value(&graph, 11, "x", &optional);
  put_value(&graph, 12, "y", &tensor);
  session = session_of(&graph, NULL);
  sardonyx_value *held = NULL;
  SUCCEED(sardonyx_optional("optional(tensor(float))", x, &held, &error));
  CHECK(sardonyx_value_part_count(held) == 1);
  sardonyx_value *y = run(session, held);
  CHECK(((const float *)sardonyx_value_elements(y))[0] == 1);
  sardonyx_value_release(y);
  sardonyx_value_release(held);
  SUCCEED(sardonyx_optional("optional(tensor(float))", NULL, &held, &error));
  CHECK(sardonyx_value_kind(held) == SARDONYX_OPTIONAL && sardonyx_value_part_count(held) == 0);
  sardonyx_value_release(held);
  sardonyx_session_release(session);

  const Message single = tensor_type(SARDONYX_FLOAT, NULL, 0);
  const Message map = map_type(SARDONYX_INT64, &single), maps = wrapped_type(4, &map);
  Message labels = {.count = 0};
  put_text(&labels, 1, "classlabels_int64s");
  put_integer(&labels, 8, 7);
  put_integer(&labels, 8, 9);
  put_integer(&labels, 20, 7);
  const int64_t row[] = {-1, 2};
  const Message matrix = tensor_type(SARDONYX_FLOAT, row, 2);
  graph.count = 0;
  put_node(&graph, "zip", "ZipMap", "ai.onnx.ml", "x", "y", &labels);
  put_text(&graph, 2, "tiny");
  put_value(&graph, 11, "x", &matrix);
  put_value(&graph, 12, "y", &maps);
  session = session_of(&graph, NULL);
  const int64_t shape[] = {1, 2};
  sardonyx_value *scores = NULL;
  SUCCEED(sardonyx_tensor_copy(SARDONYX_FLOAT, shape, 2, elements, 8, &scores, &error));
  CHECK(sardonyx_value_elements(scores) != elements);
  y = run(session, scores);
  CHECK_TEXT(sardonyx_value_type(y), "seq(map(int64,tensor(float)))");
  sardonyx_value *first = sardonyx_value_part(y, 0);
  CHECK(sardonyx_value_kind(first) == SARDONYX_MAP && sardonyx_value_part_count(first) == 2);
  sardonyx_value *keys = sardonyx_value_part(first, 0), *values = sardonyx_value_part(first, 1);
  CHECK(((const int64_t *)sardonyx_value_elements(keys))[1] == 9);
  CHECK(((const float *)sardonyx_value_elements(values))[1] == 2);
  sardonyx_value *made = NULL;
  SUCCEED(sardonyx_map(keys, values, &made, &error));
  CHECK_TEXT(sardonyx_value_type(made), "map(int64,tensor(float))");
  sardonyx_value *all[] = {made, keys, values, first, y, scores};
  for (int index = 0; index < 6; index++) sardonyx_value_release(all[index]);
  FAIL(
      sardonyx_map(x, x, &made, &error), SARDONYX_MISMATCH,
      "a map: expected integers or texts as keys along one axis and as many elements, got "
      "float[2] and float[2]");
  sardonyx_session_release(session);
  sardonyx_value_release(x);
}

static void test_errors(const char *path) {
  sardonyx_model *model = NULL;
  FAIL(
      sardonyx_model_open("/no/such.onnx", &model, &error), SARDONYX_UNREADABLE,
      "/no/such.onnx: the file cannot be opened: No such file or directory");
  CHECK(model == NULL);
  FAIL(
      sardonyx_model_open(NULL, &model, &error), SARDONYX_MISMATCH,
      "path: expected something, got NULL");
  CHECK(sardonyx_model_open(NULL, NULL, NULL) == SARDONYX_MISMATCH);
  CHECK(sardonyx_model_open_bytes("\377\377", 2, NULL, &model, NULL) == SARDONYX_MALFORMED);
  SUCCEED(sardonyx_model_open(path, &model, &error));
  sardonyx_session_options options = {.size = sizeof options};
  sardonyx_session *session = NULL;
  options.threads = -1;
  FAIL(
      sardonyx_session_create(model, &options, &session, &error), SARDONYX_MISMATCH,
      "threads: expected 1 to 1024, got -1");
  options.threads = 1;
  options.batch_normalization = 3;
  FAIL(
      sardonyx_session_create(model, &options, &session, &error), SARDONYX_MISMATCH,
      "batch_normalization: expected 0, 1 or 2, got 3");
  options.size = 0;
  FAIL(
      sardonyx_session_create(model, &options, &session, &error), SARDONYX_MISMATCH,
      "options: expected its size as first member, got 0");
  SUCCEED(sardonyx_session_create(model, NULL, &session, &error));
  CHECK(sardonyx_session_threads(session) >= 1);
  const float elements[] = {1};
  sardonyx_value *wrong = floats(elements, 1);
  const sardonyx_value *input = wrong;
  const char *name = "image", *unknown = "picture", *output = "probabilities";
  sardonyx_value *result = NULL;
  char sentence[512];
  snprintf(
      sentence, sizeof sentence,
      "%s: input \"image\": shape: expected [N,1,8,8], got [1]\n"
      "  hint: the model wants \"image\" as float[N,1,8,8]",
      path);
  FAIL(
      sardonyx_session_run(session, &name, &input, 1, &output, 1, &result, NULL, &error),
      SARDONYX_MISMATCH, sentence);
  sardonyx_error *error = NULL;
  sardonyx_session_run(session, &unknown, &input, 1, &output, 1, &result, NULL, &error);
  CHECK_TEXT(sardonyx_error_message(error), "the model has no input \"picture\"");
  CHECK_TEXT(sardonyx_error_hint(error), "its inputs are \"image\"");
  CHECK_TEXT(sardonyx_error_file(error), path);
  CHECK(sardonyx_error_node(error) == NULL);
  sardonyx_error_release(error);
  sardonyx_value_release(wrong);
  sardonyx_session_release(session);
  sardonyx_model_release(model);
  const int64_t negative = -1;
  CHECK(
      sardonyx_tensor_borrow(SARDONYX_FLOAT, &negative, 1, elements, 4, &wrong, NULL)
      == SARDONYX_MISMATCH);
  FAIL(
      sardonyx_tensor_borrow(99, NULL, 0, elements, 4, &wrong, &error), SARDONYX_MISMATCH,
      "element_type: expected a number of TensorProto.DataType, got 99");
}

static void test_that_nodes_are_named(void) {
  const int64_t extents[] = {-1, -1};
  const Message type = tensor_type(SARDONYX_FLOAT, extents, 2);
  Message graph = {.count = 0};
  put_node(&graph, "product", "MatMul", "", "a b", "y", NULL);
  put_text(&graph, 2, "tiny");
  put_value(&graph, 11, "a", &type);
  put_value(&graph, 11, "b", &type);
  put_value(&graph, 12, "y", &type);
  sardonyx_session *session = session_of(&graph, NULL);
  const float elements[6] = {0};
  const int64_t shape[] = {2, 3};
  sardonyx_value *factor = NULL, *result = NULL;
  SUCCEED(sardonyx_tensor_borrow(SARDONYX_FLOAT, shape, 2, elements, 24, &factor, &error));
  const char *names[] = {"a", "b"}, *output = "y";
  const sardonyx_value *inputs[] = {factor, factor};
  sardonyx_error *error = NULL;
  CHECK(
      sardonyx_session_run(session, names, inputs, 2, &output, 1, &result, NULL, &error)
      != SARDONYX_OK);
  CHECK_TEXT(sardonyx_error_node(error), "\"product\" (MatMul; float[2,3], float[2,3])");
  sardonyx_error_release(error);
  sardonyx_value_release(factor);
  sardonyx_session_release(session);
}

static void *cancel_soon(void *cancellation) {
  const struct timespec moment = {0, 20000000};
  nanosleep(&moment, NULL);
  sardonyx_cancellation_cancel(cancellation);
  return NULL;
}

/// y = x after ever so many turns.
static Message endless_graph(void) {
  const int64_t extents[] = {-1};
  const Message number = tensor_type(SARDONYX_INT64, NULL, 0);
  const Message flag = tensor_type(SARDONYX_BOOL, NULL, 0);
  const Message tensor = tensor_type(SARDONYX_FLOAT, extents, 1);
  Message body = {.count = 0}, attribute = {.count = 0}, graph = {.count = 0};
  Message constant = {.count = 0};
  put_node(&body, "same", "Identity", "", "on", "on_out", NULL);
  put_node(&body, "positive", "Relu", "", "v", "v_out", NULL);
  put_text(&body, 2, "body");
  put_value(&body, 11, "i", &number);
  put_value(&body, 11, "on", &flag);
  put_value(&body, 11, "v", &tensor);
  put_value(&body, 12, "on_out", &flag);
  put_value(&body, 12, "v_out", &tensor);
  put_text(&attribute, 1, "body");
  put_message(&attribute, 6, &body);
  put_integer(&attribute, 20, 5);
  put_integer(&constant, 2, SARDONYX_INT64);
  put_integer(&constant, 7, INT64_MAX);
  put_text(&constant, 8, "turns");
  put_node(&graph, "turn", "Loop", "", "turns - x", "y", &attribute);
  put_text(&graph, 2, "tiny");
  put_message(&graph, 5, &constant);
  put_value(&graph, 11, "x", &tensor);
  put_value(&graph, 12, "y", &tensor);
  return graph;
}

static void test_cancellation_and_limits(void) {
  const Message graph = endless_graph();
  sardonyx_session *session = session_of(&graph, NULL);
  const float elements[] = {1};
  sardonyx_value *value = floats(elements, 1), *result = NULL;
  const sardonyx_value *x = value;
  const char *input = "x", *output = "y";
  sardonyx_run_options options = {.size = sizeof options};
  options.cancellation = sardonyx_cancellation_create();
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_soon, options.cancellation);
  sardonyx_error *error = NULL;
  CHECK(
      sardonyx_session_run(session, &input, &x, 1, &output, 1, &result, &options, &error)
      == SARDONYX_CANCELLED);
  CHECK_TEXT(sardonyx_error_message(error), "the run was cancelled");
  sardonyx_error_release(error);
  pthread_join(thread, NULL);
  CHECK(
      sardonyx_session_run(session, &input, &x, 1, &output, 1, &result, &options, NULL)
      == SARDONYX_CANCELLED);
  sardonyx_cancellation_release(options.cancellation);
  sardonyx_session_release(session);
  sardonyx_session_options limits = {.size = sizeof limits};
  limits.time_limit = 0.05;
  session = session_of(&graph, &limits);
  error = NULL;
  CHECK(
      sardonyx_session_run(session, &input, &x, 1, &output, 1, &result, NULL, &error)
      == SARDONYX_LIMIT);
  CHECK_TEXT(sardonyx_error_message(error), "the run took longer than its time limit");
  sardonyx_error_release(error);
  sardonyx_session_release(session);
  sardonyx_value_release(value);
}

typedef struct {
  const sardonyx_session *session;
  const sardonyx_value *image;
  float results[10];
} Caller;

static void *run_often(void *argument) {
  Caller *caller = argument;
  const char *input = "image", *output = "probabilities";
  for (int turn = 0; turn < 50; turn++) {
    sardonyx_value *result = NULL;
    sardonyx_session_run(
        caller->session, &input, &caller->image, 1, &output, 1, &result, NULL, NULL);
    memcpy(caller->results, sardonyx_value_elements(result), sizeof caller->results);
    sardonyx_value_release(result);
  }
  return NULL;
}

static void test_digits(const char *path) {
  sardonyx_model *model = NULL;
  SUCCEED(sardonyx_model_open(path, &model, &error));
  sardonyx_session_options options = {.size = sizeof options};
  options.threads = 2;
  const char *tap = NULL;
  sardonyx_session *session = NULL;
  SUCCEED(sardonyx_session_create(model, &options, &session, &error));
  float image[64];
  for (int index = 0; index < 64; index++) image[index] = (float)(index % 9) / 9;
  const int64_t shape[] = {1, 1, 8, 8};
  sardonyx_value *value = NULL;
  SUCCEED(sardonyx_tensor_borrow(SARDONYX_FLOAT, shape, 4, image, sizeof image, &value, &error));
  const sardonyx_value *input = value;
  const char *name = "image";

  Caller callers[3];
  pthread_t threads[3];
  for (int index = 0; index < 3; index++) {
    callers[index] = (Caller){session, value, {0}};
    pthread_create(&threads[index], NULL, run_often, &callers[index]);
  }
  float sum = 0;
  for (int index = 0; index < 3; index++) {
    pthread_join(threads[index], NULL);
    CHECK(!memcmp(callers[index].results, callers[0].results, sizeof callers[0].results));
  }
  for (int index = 0; index < 10; index++) sum += callers[0].results[index];
  CHECK(fabsf(sum - 1) < 1e-5f);

  sardonyx_notes *notes = NULL;
  SUCCEED(sardonyx_session_notes(session, &notes, &error));
  CHECK(sardonyx_notes_count(notes) > 0);
  sardonyx_note note = {.size = sizeof note};
  int done = 0;
  for (size_t index = 0; sardonyx_notes_note(notes, index, &note); index++)
    done += note.is_done && strlen(note.text) > 0 && strlen(note.pass) > 0;
  CHECK(done > 0);
  sardonyx_notes_release(notes);

  sardonyx_comparison_options tolerance = {.size = sizeof tolerance};
  tolerance.layers = true;
  sardonyx_comparison *comparison = NULL;
  SUCCEED(sardonyx_compare(
      model, NULL, &name, &input, 1, NULL, &tolerance, &comparison, &error));
  CHECK(sardonyx_comparison_passed(comparison));
  CHECK(sardonyx_comparison_output_count(comparison) == 1);
  CHECK(sardonyx_comparison_layer_count(comparison) > 3);
  sardonyx_comparison_entry entry = {.size = sizeof entry};
  CHECK(sardonyx_comparison_output(comparison, 0, &entry));
  CHECK_TEXT(entry.name, "probabilities");
  CHECK(entry.passed && entry.is_measured && entry.max_absolute <= entry.allowed);
  CHECK(entry.magnitude > 0 && entry.cosine > 0.999999 && entry.remark == NULL);
  CHECK(sardonyx_comparison_layer(comparison, 0, &entry));
  CHECK(strlen(entry.operator_name) > 0);
  CHECK(!sardonyx_comparison_layer(comparison, 1000, &entry));
  sardonyx_comparison_release(comparison);

  sardonyx_model *within = NULL;
  SUCCEED(sardonyx_model_fold_within(
      model, &name, &input, 1, NULL, NULL, &within, &notes, &error));
  CHECK(sardonyx_notes_count(notes) > 0);
  sardonyx_notes_release(notes);
  sardonyx_model_release(within);

  sardonyx_model *folded = NULL, *read = NULL;
  sardonyx_value *bytes = NULL;
  SUCCEED(sardonyx_model_fold(model, &folded, &notes, &error));
  SUCCEED(sardonyx_model_bytes(folded, &bytes, &error));
  SUCCEED(sardonyx_model_open_bytes(
      sardonyx_value_elements(bytes), sardonyx_value_byte_count(bytes), NULL, &read, &error));
  const char *symbol = "N";
  const int64_t extent = 2;
  sardonyx_inspection *inspection = NULL;
  SUCCEED(sardonyx_model_inspect(model, &symbol, &extent, 1, &inspection, &error));
  sardonyx_summary summary = {.size = sizeof summary};
  CHECK(sardonyx_inspection_summary(inspection, &summary));
  CHECK(summary.parameter_count > 1000 && summary.multiply_adds > 1000);
  int has_normalization = 0;
  const char *operator_name = NULL;
  uint64_t count = 0;
  for (size_t index = 0;
       sardonyx_inspection_operator(inspection, index, &operator_name, &count); index++)
    has_normalization |= !strcmp(operator_name, "BatchNormalization") && count > 0;
  CHECK(has_normalization);
  sardonyx_inspection_release(inspection);
  SUCCEED(sardonyx_model_inspect(read, NULL, NULL, 0, &inspection, &error));
  for (size_t index = 0;
       sardonyx_inspection_operator(inspection, index, &operator_name, NULL); index++)
    CHECK(strcmp(operator_name, "BatchNormalization"));
  sardonyx_inspection_release(inspection);
  symbol = "M";
  FAIL(
      sardonyx_model_inspect(model, &symbol, &extent, 1, &inspection, &error), SARDONYX_MISMATCH,
      "symbols[0]: the inputs have no dimension \"M\"\n  hint: there are \"N\"");
  FAIL(
      sardonyx_model_write(folded, "/no/such/folder/folded.onnx", &error), SARDONYX_UNREADABLE,
      "/no/such/folder/folded.onnx: the file cannot be written: No such file or directory");
  sardonyx_value_release(bytes);
  sardonyx_model_release(read);
  sardonyx_model_release(folded);
  sardonyx_notes_release(notes);
  sardonyx_session_release(session);

  // A tap, named by the comparison above.
  tap = "no such value";
  options.taps = &tap;
  options.tap_count = 1;
  sardonyx_error *error = NULL;
  CHECK(sardonyx_session_create(model, &options, &session, &error) == SARDONYX_MISMATCH);
  CHECK(strstr(sardonyx_error_message(error), "no such value") != NULL);
  sardonyx_error_release(error);
  sardonyx_value_release(value);
  sardonyx_model_release(model);
}

static void test_null(void) {
  CHECK(sardonyx_value_kind(NULL) == 0 && sardonyx_value_rank(NULL) == 0);
  CHECK(sardonyx_value_part(NULL, 0) == NULL && sardonyx_error_message(NULL) == NULL);
  CHECK(sardonyx_model_input_count(NULL) == 0 && !sardonyx_notes_note(NULL, 0, NULL));
  sardonyx_error_release(NULL);
  sardonyx_model_release(NULL);
  sardonyx_session_release(NULL);
  sardonyx_value_release(NULL);
  sardonyx_cancellation_cancel(NULL);
  sardonyx_cancellation_release(NULL);
  sardonyx_comparison_release(NULL);
  sardonyx_notes_release(NULL);
  sardonyx_inspection_release(NULL);
  sardonyx_value *value = NULL;
  FAIL(
      sardonyx_session_run(NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, &error), SARDONYX_MISMATCH,
      "session: expected something, got NULL");
  CHECK(sardonyx_tensor_borrow(1, NULL, 1, NULL, 0, &value, NULL) == SARDONYX_MISMATCH);
  CHECK(sardonyx_tensor_borrow(1, NULL, 0, NULL, 4, &value, NULL) == SARDONYX_MISMATCH);
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: tests MODEL\n");
    return 64;
  }
  test_versions();
  test_models(arguments[1]);
  test_information();
  test_borrowing();
  test_that_outputs_never_lie_in_inputs();
  test_output_memory();
  test_strings();
  test_containers();
  test_errors(arguments[1]);
  test_that_nodes_are_named();
  test_cancellation_and_limits();
  test_digits(arguments[1]);
  test_null();
  printf("%d checks, %d failed\n", checks, failures);
  return failures ? 1 : 0;
}
