#include "config.h"

#include "common/exitcode.h"

const char *
sp_exit_word(int status)
{
	switch (status) {
#define EXIT_ROW(name, number, word, meaning) case name: return word;
	SP_EXITS(EXIT_ROW)
#undef EXIT_ROW
	}
	return "unknown";
}
