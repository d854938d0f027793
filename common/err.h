/*
 * Error codes.  Functions return 0 or a negative code: -errno for the
 * kernel's reasons, the private codes below for ours.  Anyone may use it.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <errno.h>

/*
 * Private codes lie below every errno.  SP_ERR(name, text): the text is for
 * logs and administrators, never for FTP clients.
 */
#define SP_ERRORS(SP_ERR)						\
	SP_ERR(SP_ETRUNC,	"message or text is cut short")		\
	SP_ERR(SP_ERANGE,	"value is out of its bounds")		\
	SP_ERR(SP_EFORMAT,	"malformed text or message")		\
	SP_ERR(SP_ETYPE,	"unknown message type")			\
	SP_ERR(SP_ECHANNEL,	"message on the wrong channel or in the wrong direction") \
	SP_ERR(SP_ESTATE,	"message not allowed in this state")	\
	SP_ERR(SP_EFDS,		"wrong number or kind of descriptors")	\
	SP_ERR(SP_ETRAILING,	"bytes left over at the end of a message") \
	SP_ERR(SP_ECLOSED,	"peer closed the channel")		\
	SP_ERR(SP_EREPLY,	"unexpected reply")			\
	SP_ERR(SP_EUNREAD,	"peer asks for descriptors and does not read the answers") \
	SP_ERR(SP_EDENIED,	"denied by policy")			\
	SP_ERR(SP_EVERSION,	"peer is of another version")		\
	SP_ERR(SP_ENOTDROPPED,	"privileges could not be proved dropped") \
	SP_ERR(SP_ENOUSER,	"no user has that name")		\
	SP_ERR(SP_ENOGROUP,	"no group has that name")		\
	SP_ERR(SP_EKILLED,	"whoever calls it is killed")

enum {
	SP_EBASE = -5000,
#define SP_ERR(name, text) name,
	SP_ERRORS(SP_ERR)
#undef SP_ERR
	SP_ELAST
};

/* The text of a code returned by any function of sallyport (0, -errno, SP_E*). Never NULL. */
const char *sp_strerror(int code);

#endif
