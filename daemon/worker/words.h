/*
 * Arguments that are several words: blanks separate them, quotes hold blanks
 * together, a doubled quote inside quotes is a quote.  Pure.
 */
#ifndef WORKER_WORDS_H
#define WORKER_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes the next word out of *at, which is changed in place and moved behind it and its blanks. NULL: there is none. */
char *words_next(char **at);

/* The same without quoting: up to the next blank; *at is then what follows exactly one blank, "" for nothing. */
char *words_plain(char **at);

/*
 * Takes the last blank-separated word off the end of text, which keeps what stands before exactly one blank. NULL:
 * only one word.
 */
char *words_last(char *text);

/* Digits of that base only, at most max. False otherwise. */
bool words_number(const char *text, unsigned base, uint64_t max, uint64_t *n);

/*
 * What SITE PASSWD is about: the own password when it stands alone or behind the own name (user), another account's
 * behind another name.  The words point into argument.
 */
enum passwd_form { PASSWD_WRONG, PASSWD_OWN, PASSWD_OTHER };
enum passwd_form words_passwd(char *argument, const char *user, char **account, char **password);

#endif
