#include "sardonyx.h"

// Structures grow at their ends alone: what is here has callers.
#define AT(type, member, offset) \
  _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")

#if UINTPTR_MAX == UINT64_MAX
AT(sardonyx_description, has_default, 48);
AT(sardonyx_information, ir_version, 64);
AT(sardonyx_session_options, without_winograd, 56);
AT(sardonyx_run_options, output_byte_counts, 24);
AT(sardonyx_comparison_options, layers, 24);
AT(sardonyx_comparison_entry, remark, 88);
AT(sardonyx_note, is_done, 32);
AT(sardonyx_summary, multiply_adds, 24);
#endif
