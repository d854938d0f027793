/*
 * The steps of a transfer (transfer.h).  Each does what is possible now and
 * returns 0 to be called again, or -EAGAIN with wait_fd, the stream's want or
 * pause_ms saying what it waits for; or ends the transfer by transfer_finish().
 */
#ifndef WORKER_MOVE_H
#define WORKER_MOVE_H

#include "daemon/worker/transfer.h"

/* Making the connection. */
int move_accept(struct transfer *);
int move_connect(struct transfer *);
int move_handshake(struct transfer *);
/* The data. */
int move_send_file(struct transfer *);
int move_send_ascii(struct transfer *);
int move_send_list(struct transfer *);
int move_receive(struct transfer *);
/* Reads what still comes of an upload that was refused, and drops it. */
int move_discard(struct transfer *);
/* The end of what is sent. */
int move_flush(struct transfer *);
int move_shutdown(struct transfer *);

/* Gives buffer and pipe back. */
void move_free(struct transfer *);

/* Ends the transfer; error is 0 or -errno. Returns 0. */
int transfer_finish(struct transfer *, enum transfer_end, int error);

#endif
