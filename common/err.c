#include "config.h"

#include <string.h>

#include "common/err.h"

static const char *const texts[] = {
#define SP_ERR(name, text) text,
	SP_ERRORS(SP_ERR)
#undef SP_ERR
};

const char *
sp_strerror(int code)
{
	if (code > SP_EBASE && code < SP_ELAST)
		return texts[code - SP_EBASE - 1];
	return code == 0 ? "success" : strerror(code < 0 ? -code : code);
}
