// MPI behind a few C functions that wait for nothing: whoever starts a transfer asks for its end (beitseg_mpi_test).
// Functions give 0, or MPI's error code. Open MPI and MPICH have other types behind the same names, hence the shim.
#pragma once
#include <stddef.h>

/// What the calls of a run go through: their messages do not meet.
enum { beitseg_mpi_work, beitseg_mpi_pulse, beitseg_mpi_numbers, beitseg_mpi_end, beitseg_mpi_channels };

/// A transfer under way; beitseg_mpi_test frees it at its end.
typedef struct beitseg_mpi_transfer beitseg_mpi_transfer;

/// Starts MPI. `neighbours`: processes on this machine. `concurrent`: whether several threads may call.
int beitseg_mpi_start(int *rank, int *size, int *neighbours, int *concurrent);
/// The machine's name; at most `count` bytes with the zero at their end.
void beitseg_mpi_machine(char *name, size_t count);
/// Text of an error code; at most `count` bytes with the zero at their end.
void beitseg_mpi_reason(int code, char *text, size_t count);
/// In order, on all processes.
int beitseg_mpi_finish(void);
/// Ends all processes.
void beitseg_mpi_abort(int status);

/// Bytes to and from one other process.
int beitseg_mpi_send(int channel, const void *data, int bytes, int to, beitseg_mpi_transfer **transfer);
int beitseg_mpi_receive(int channel, void *data, int bytes, int from, beitseg_mpi_transfer **transfer);
/// What each process has, `bytes` of each, in the order of the ranks.
int beitseg_mpi_gather(const void *own, int bytes, void *all, beitseg_mpi_transfer **transfer);
/// As gather, where each process has another number of bytes (own: counts[rank]), at `starts` of `all`.
int beitseg_mpi_gather_parts(const void *own, void *all, const int *counts, const int *starts,
                             beitseg_mpi_transfer **transfer);
/// Each process has counts[rank] floats at starts[rank] of `values`; then all have all of them.
int beitseg_mpi_spread(float *values, const int *counts, const int *starts, beitseg_mpi_transfer **transfer);
/// The sum of the values of all processes, in place.
int beitseg_mpi_sum(float *values, int count, beitseg_mpi_transfer **transfer);
/// Ends once all processes have come.
int beitseg_mpi_barrier(int channel, beitseg_mpi_transfer **transfer);
/// Whether a transfer has ended; it is gone then.
int beitseg_mpi_test(beitseg_mpi_transfer *transfer, int *done);
