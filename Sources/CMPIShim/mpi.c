#include "CBEiTMPIShim.h"

#ifdef BEITSEG_MPI

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

struct beitseg_mpi_transfer {
  MPI_Request request;
};

static MPI_Comm channels[beitseg_mpi_channels];

int beitseg_mpi_start(int *rank, int *size, int *neighbours, int *concurrent) {
  int level = 0, code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
  if (code) return code;
  *concurrent = level == MPI_THREAD_MULTIPLE;
  for (int i = 0; i < beitseg_mpi_channels; i++) {
    if ((code = MPI_Comm_dup(MPI_COMM_WORLD, &channels[i]))) return code;
    MPI_Comm_set_errhandler(channels[i], MPI_ERRORS_RETURN);
  }
  MPI_Comm near;
  if ((code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &near))) return code;
  MPI_Comm_size(near, neighbours);
  MPI_Comm_free(&near);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  return MPI_Comm_size(MPI_COMM_WORLD, size);
}

void beitseg_mpi_machine(char *name, size_t count) {
  char full[MPI_MAX_PROCESSOR_NAME + 1] = "";
  int length = 0;
  MPI_Get_processor_name(full, &length);
  snprintf(name, count, "%s", full);
}

void beitseg_mpi_reason(int code, char *text, size_t count) {
  char full[MPI_MAX_ERROR_STRING + 1] = "";
  int length = 0;
  MPI_Error_string(code, full, &length);
  snprintf(text, count, "%s", full);
}

int beitseg_mpi_finish(void) { return MPI_Finalize(); }
void beitseg_mpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

static beitseg_mpi_transfer *begin(beitseg_mpi_transfer **transfer) {
  return *transfer = malloc(sizeof **transfer);
}

// What could not be started is no transfer.
static int begun(int code, beitseg_mpi_transfer **transfer) {
  if (code) {
    free(*transfer);
    *transfer = NULL;
  }
  return code;
}

#define START(call)                                   \
  beitseg_mpi_transfer *new = begin(transfer);        \
  if (!new) return MPI_ERR_NO_MEM;                    \
  return begun(call, transfer)

int beitseg_mpi_send(int channel, const void *data, int bytes, int to, beitseg_mpi_transfer **transfer) {
  START(MPI_Isend(data, bytes, MPI_BYTE, to, 0, channels[channel], &new->request));
}

int beitseg_mpi_receive(int channel, void *data, int bytes, int from, beitseg_mpi_transfer **transfer) {
  START(MPI_Irecv(data, bytes, MPI_BYTE, from, 0, channels[channel], &new->request));
}

int beitseg_mpi_gather(const void *own, int bytes, void *all, beitseg_mpi_transfer **transfer) {
  START(MPI_Iallgather(own, bytes, MPI_BYTE, all, bytes, MPI_BYTE, channels[beitseg_mpi_work], &new->request));
}

int beitseg_mpi_gather_parts(const void *own, void *all, const int *counts, const int *starts,
                             beitseg_mpi_transfer **transfer) {
  int rank = 0;
  MPI_Comm_rank(channels[beitseg_mpi_work], &rank);
  START(MPI_Iallgatherv(own, counts[rank], MPI_BYTE, all, counts, starts, MPI_BYTE, channels[beitseg_mpi_work],
                        &new->request));
}

int beitseg_mpi_spread(float *values, const int *counts, const int *starts, beitseg_mpi_transfer **transfer) {
  START(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_FLOAT, values, counts, starts, MPI_FLOAT, channels[beitseg_mpi_work],
                        &new->request));
}

int beitseg_mpi_sum(float *values, int count, beitseg_mpi_transfer **transfer) {
  START(MPI_Iallreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, channels[beitseg_mpi_work], &new->request));
}

int beitseg_mpi_barrier(int channel, beitseg_mpi_transfer **transfer) {
  START(MPI_Ibarrier(channels[channel], &new->request));
}

int beitseg_mpi_test(beitseg_mpi_transfer *transfer, int *done) {
  int code = MPI_Test(&transfer->request, done, MPI_STATUS_IGNORE);
  if (code) *done = 1;
  if (*done) free(transfer);
  return code;
}

#endif
