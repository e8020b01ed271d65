// Memory that the system refuses, in a program: one line on standard error and exit status 74, whoever asked for it.
//
// Swift's runtime, libstdc++, oneDNN, OpenBLAS, HDF5, libpng, libjpeg and libdispatch each have an end of their own for a
// refused allocation: a jump to address 0, std::terminate, waiting for ever, an error that blames the file. So in the
// program, and only there, the C library's allocation functions and pthread_create are wrapped: a refusal ends the
// process before any of them sees it. aligned_alloc is left alone, for tensors' memory: what is unused elsewhere is given
// back first. So are large mappings, whose callers have another way.
#pragma once
#include <stddef.h>

/// Ends the process: the line that names what was asked for (bytes; 0 where that is not known), and status 74.
_Noreturn void beitseg_out_of_memory(long bytes);

/// Has `tidy` called before the end; it must need no memory and wait for nobody for long.
void beitseg_tidy_before_end(void (*tidy)(void));
