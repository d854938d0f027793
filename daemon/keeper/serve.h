/*
 * The keeper's loop: one channel to the listener, which is trusted, and one to
 * each worker, which is not.  It serves everybody, so it never dies for one
 * peer: whoever breaks the protocol, or asks for a signature over anything but
 * a TLS handshake message, loses its channel, and the listener's log says so.
 *
 * Budget: a channel may ask for KEEPER_BURST signatures at once and
 * KEEPER_RATE a second after that.  Beyond it, its requests wait in its socket:
 * a client that makes many data connections without resuming is slowed down, a
 * hijacked worker cannot take the processor from others.
 */
#ifndef DAEMON_KEEPER_SERVE_H
#define DAEMON_KEEPER_SERVE_H

#define KEEPER_BURST	200
#define KEEPER_RATE	50	/* signatures a second */

/* Serves until the listener closes its end of the channel. Returns an exit code (common/exitcode.h). */
int keeper_serve(int listener_fd);

#endif
