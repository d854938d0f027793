/*
 * The keeper's loop: one channel to the listener, which is trusted, and one to
 * each worker, which is not.  It serves everybody, so it never dies for one
 * peer: whoever breaks the protocol, or asks for a signature over anything but
 * a TLS handshake message, loses its channel, and the listener's log says so.
 *
 * Budget: a channel may use KEEPER_BURST microseconds of processor time for its
 * signatures at once, and KEEPER_SHARE of every second after that.  Beyond it,
 * its requests wait in its socket: a client that makes many data connections
 * without resuming is slowed down at some hundred RSA signatures a second, and a
 * hijacked worker cannot take the processor from others.
 */
#ifndef DAEMON_KEEPER_SERVE_H
#define DAEMON_KEEPER_SERVE_H

#define KEEPER_BURST	500000
#define KEEPER_SHARE	4	/* a quarter */

/* Serves until the listener closes its end of the channel. Returns an exit code (common/exitcode.h). */
int keeper_serve(int listener_fd);

#endif
