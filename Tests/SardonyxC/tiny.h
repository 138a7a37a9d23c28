// Writes small ONNX models: protobuf messages in memory.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  unsigned char bytes[8192];
  size_t count;
} Message;

static void put_number(Message *message, uint64_t number) {
  do {
    message->bytes[message->count++] = (number & 127) | (number > 127 ? 128 : 0);
    number >>= 7;
  } while (number);
}

static void put_integer(Message *message, int field, uint64_t number) {
  put_number(message, (uint64_t)field << 3);
  put_number(message, number);
}

static void put_bytes(Message *message, int field, const void *bytes, size_t count) {
  put_number(message, (uint64_t)field << 3 | 2);
  put_number(message, count);
  if (message->count + count > sizeof message->bytes) abort();
  memcpy(message->bytes + message->count, bytes, count);
  message->count += count;
}

static void put_text(Message *message, int field, const char *text) {
  put_bytes(message, field, text, strlen(text));
}

static void put_message(Message *message, int field, const Message *part) {
  put_bytes(message, field, part->bytes, part->count);
}

/// TypeProto of a tensor; a negative extent stands for the symbol N.
static Message tensor_type(int element, const int64_t *extents, int rank) {
  Message shape = {.count = 0}, tensor = {.count = 0}, type = {.count = 0};
  for (int axis = 0; axis < rank; axis++) {
    Message extent = {.count = 0};
    if (extents[axis] < 0)
      put_text(&extent, 2, "N");
    else
      put_integer(&extent, 1, (uint64_t)extents[axis]);
    put_message(&shape, 1, &extent);
  }
  put_integer(&tensor, 1, (uint64_t)element);
  put_message(&tensor, 2, &shape);
  put_message(&type, 1, &tensor);
  return type;
}

/// TypeProto of a sequence (field 4) or an optional (field 9).
static Message wrapped_type(int field, const Message *part) {
  Message inner = {.count = 0}, type = {.count = 0};
  put_message(&inner, 1, part);
  put_message(&type, field, &inner);
  return type;
}

/// TypeProto of a map.
static Message map_type(int key, const Message *part) {
  Message inner = {.count = 0}, type = {.count = 0};
  put_integer(&inner, 1, (uint64_t)key);
  put_message(&inner, 2, part);
  put_message(&type, 5, &inner);
  return type;
}

/// Adds an input (field 11) or output (field 12) to a graph.
static void put_value(Message *graph, int field, const char *name, const Message *type) {
  Message value = {.count = 0};
  put_text(&value, 1, name);
  put_message(&value, 2, type);
  put_message(graph, field, &value);
}

/// Adds a node; names are separated by spaces, and an attribute may be NULL.
static void put_node(
    Message *graph, const char *name, const char *operator_name, const char *domain,
    const char *inputs, const char *outputs, const Message *attribute) {
  Message node = {.count = 0};
  const char *lists[2] = {inputs, outputs};
  for (int list = 0; list < 2; list++) {
    char copy[256];
    strncpy(copy, lists[list], sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *part = strtok(copy, " "); part; part = strtok(NULL, " "))
      put_text(&node, list + 1, strcmp(part, "-") ? part : "");
  }
  put_text(&node, 3, name);
  put_text(&node, 4, operator_name);
  if (attribute) put_message(&node, 5, attribute);
  put_text(&node, 7, domain);
  put_message(graph, 1, &node);
}

/// A whole model.
static Message model_of(const Message *graph) {
  Message model = {.count = 0};
  const char *domains[] = {"", "ai.onnx.ml"};
  const uint64_t versions[] = {20, 3};
  put_integer(&model, 1, 9);
  put_text(&model, 2, "tests");
  put_message(&model, 7, graph);
  for (int index = 0; index < 2; index++) {
    Message set = {.count = 0};
    put_text(&set, 1, domains[index]);
    put_integer(&set, 2, versions[index]);
    put_message(&model, 8, &set);
  }
  Message remark = {.count = 0};
  put_text(&remark, 1, "purpose");
  put_text(&remark, 2, "testing");
  put_message(&model, 14, &remark);
  return model;
}
