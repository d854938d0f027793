#include "config.h"

#include <string.h>

#include "daemon/worker/words.h"

/* Undoes quoting in place; returns what follows the closing quote, NULL when there is none. */
static char *
unquote(char *text)
{
	char *out = text, *in = text + 1;

	for (; *in != '\0'; in++) {
		if (*in == '"' && in[1] != '"') {
			*out = '\0';
			return in + 1;
		}
		if (*in == '"')
			in++;
		*out++ = *in;
	}
	return NULL;
}

char *
words_next(char **at)
{
	char *word = *at + strspn(*at, " "), *end;

	if (*word == '\0')
		return NULL;
	if (*word == '"') {
		end = unquote(word);
		if (end == NULL || (*end != '\0' && *end != ' '))
			return NULL;
	} else {
		end = word + strcspn(word, " ");
		if (*end == ' ')
			*end++ = '\0';
	}
	*at = end + strspn(end, " ");
	return word;
}

char *
words_plain(char **at)
{
	char *word = *at, *end = word + strcspn(word, " ");

	if (end == word)
		return NULL;
	*at = end;
	if (*end == ' ') {
		*end = '\0';
		*at = end + 1;
	}
	return word;
}

char *
words_last(char *text)
{
	char *blank = strrchr(text, ' ');

	if (blank == NULL || blank == text)
		return NULL;
	*blank = '\0';
	return blank + 1;
}

bool
words_number(const char *text, unsigned base, uint64_t max, uint64_t *n)
{
	uint64_t v = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned)(unsigned char)*text - '0';

		if (digit >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v) || v > max)
			return false;
	}
	*n = v;
	return true;
}

enum passwd_form
words_passwd(char *argument, const char *user, char **account, char **password)
{
	char *first = words_next(&argument), *second = words_next(&argument);

	if (first == NULL || *argument != '\0')
		return PASSWD_WRONG;
	*account = second == NULL ? NULL : first;
	*password = second == NULL ? first : second;
	return second == NULL || strcmp(first, user) == 0 ? PASSWD_OWN : PASSWD_OTHER;
}
