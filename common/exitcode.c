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

const char *
sp_end_word(enum sp_end end)
{
	static const char *const words[] = {
#define END_ROW(name, word, meaning) word,
		SP_ENDS(END_ROW)
#undef END_ROW
	};

	return end < SP_END_COUNT ? words[end] : "unknown";
}
