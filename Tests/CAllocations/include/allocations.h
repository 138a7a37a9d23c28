#pragma once

/// Whether allocations can be counted here.
_Bool allocations_are_counted(void);

/// Counts the blocks that the current thread takes from now on.
void allocations_begin(void);

/// How many the current thread has taken since; counting ends.
long allocations_end(void);
