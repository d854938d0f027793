#include "config.h"

#include <string.h>

#include "daemon/agent/format.h"
#include "privsep/msg.h"

#define HALF_A_YEAR	(365 * 86400LL / 2)
#define CLOCK_SLACK	60	/* a file made while the listing runs is not "in the future" */

void
format_init(struct format *f, int64_t now, const uint64_t key[2], const char *owner, const char *group)
{
	f->now = now;
	f->key[0] = key[0];
	f->key[1] = key[1];
	f->owner = owner;
	f->group = group;
	f->day = f->minute = INT64_MIN;
}

/* ----------------------------------------------------------------- numbers */

static char *
put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

#define PUT(p, literal)	put((p), "" literal, sizeof(literal) - 1)

static char *
put_str(char *p, const char *s)
{
	return put(p, s, strlen(s));
}

/* At least width characters, filled up on the left. */
static char *
put_number(char *p, uint64_t value, size_t width, char fill)
{
	char digits[20];
	size_t n = sizeof digits;

	do
		digits[--n] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	for (size_t len = sizeof digits - n; len < width; len++)
		*p++ = fill;
	return put(p, digits + n, sizeof digits - n);
}

char *
format_number(char *p, uint64_t value)
{
	return put_number(p, value, 1, ' ');
}

char *
format_octal(char *p, unsigned mode)
{
	for (int shift = 9; shift >= 0; shift -= 3)
		*p++ = (char)('0' + (mode >> shift & 7));
	return p;
}

static char *
put_hex(char *p, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[value >> shift & 15];
	return p;
}

/*
 * The name of a user or group, which may be any text ("domain users"), as one word: clients split lines at blanks and
 * facts at semicolons (RFC 3659, 7.2).
 */
static char *
put_word(char *p, const char *s)
{
	if (*s == '\0')
		*p++ = '_';
	for (; *s != '\0'; s++)
		*p++ = (unsigned char)*s <= ' ' || *s == ';' || *s == 0x7f ? '_' : *s;
	return p;
}

/* Left-aligned in eight columns, as old clients count on it. */
static char *
put_column(char *p, const char *s)
{
	char *end = p + 8;

	p = put_word(p, s);
	while (p < end)
		*p++ = ' ';
	return p;
}

static char *
put_id(char *p, uint32_t id)
{
	char *end = p + 8;

	p = put_number(p, id, 1, ' ');
	while (p < end)
		*p++ = ' ';
	return p;
}

/* ------------------------------------------------------------------- times */

struct date {
	int64_t year;
	unsigned month, day;
};

/* Days since 1970 to a date of the Gregorian calendar, by the 400-year cycle that begins in March. */
static struct date
date_of(int64_t days)
{
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	unsigned of_era = (unsigned)(shifted - era * 146097);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned march = (5 * of_year + 2) / 153;
	struct date d;

	d.day = of_year - (153 * march + 2) / 5 + 1;
	d.month = march < 10 ? march + 3 : march - 9;
	d.year = (int64_t)year + era * 400 + (d.month <= 2);
	return d;
}

/* Rounded down, before 1970 too. */
static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static uint64_t
four_digits(int64_t year)
{
	return year < 0 ? 0 : year > 9999 ? 9999 : (uint64_t)year;
}

char *
format_time(struct format *f, char *p, int64_t t)
{
	int64_t day = floor_div(t, 86400);
	unsigned s = (unsigned)(t - day * 86400);

	if (day != f->day) {
		struct date d = date_of(day);
		char *q = put_number(f->date, four_digits(d.year), 4, '0');

		q = put_number(q, d.month, 2, '0');
		(void)put_number(q, d.day, 2, '0');
		f->day = day;
	}
	p = put(p, f->date, 8);
	p = put_number(p, s / 3600, 2, '0');
	p = put_number(p, s / 60 % 60, 2, '0');
	return put_number(p, s % 60, 2, '0');
}

/* "Nov 22 00:25", or "Nov 22  2019" when that is long ago or to come. */
static char *
put_stamp(struct format *f, char *p, int64_t t)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t minute = floor_div(t, 60);

	if (minute != f->minute) {
		int64_t day = floor_div(t, 86400);
		unsigned s = (unsigned)(t - day * 86400);
		struct date d = date_of(day);
		char *q = put(f->stamp, months + (d.month - 1) * 3, 3);

		*q++ = ' ';
		q = put_number(q, d.day, 2, ' ');
		*q++ = ' ';
		if (t > f->now - HALF_A_YEAR && t <= f->now + CLOCK_SLACK) {
			q = put_number(q, s / 3600, 2, '0');
			*q++ = ':';
			(void)put_number(q, s / 60 % 60, 2, '0');
		} else {
			(void)put_number(q, four_digits(d.year), 5, ' ');
		}
		f->minute = minute;
	}
	return put(p, f->stamp, 12);
}

/* ------------------------------------------------------------------- lines */

char *
format_name(char *p, const char *name, size_t len)
{
	memcpy(p, name, len);
	for (char *end = p + len; p < end; p++)
		if (*p == '\n' || *p == '\r')
			*p = '?';
	return p;
}

/* What is not a file is never told as one: a client would fetch it, and a tree would seem to hold empty files. */
static const struct {
	uint16_t format;
	char letter;
	const char *type;	/* of the fact (RFC 3659, 7.5.1; symlink: its erratum 1500) */
} kinds[] = {
	{ S_IFREG, '-', "file" }, { S_IFDIR, 'd', "dir" }, { S_IFLNK, 'l', "OS.unix=symlink" }, { S_IFIFO, 'p', "OS.unix=fifo" },
	{ S_IFSOCK, 's', "OS.unix=socket" }, { S_IFCHR, 'c', "OS.unix=chr" }, { S_IFBLK, 'b', "OS.unix=blk" },
};

static size_t
kind_of(const struct statx *st)
{
	size_t i = sizeof kinds / sizeof kinds[0] - 1;

	while (i > 0 && (st->stx_mode & S_IFMT) != kinds[i].format)
		i--;
	return i;
}

static char *
put_mode(char *p, char type, unsigned mode)
{
	static const char bits[] = "rwxrwxrwx";

	*p++ = type;
	for (unsigned i = 0; i < 9; i++)
		p[i] = (mode & (0400u >> i)) != 0 ? bits[i] : '-';
	if (mode & S_ISUID)
		p[2] = p[2] == 'x' ? 's' : 'S';
	if (mode & S_ISGID)
		p[5] = p[5] == 'x' ? 's' : 'S';
	if (mode & S_ISVTX)
		p[8] = p[8] == 'x' ? 't' : 'T';
	return p + 9;
}

static uint64_t
size_of(const struct statx *st)
{
	return S_ISREG(st->stx_mode) || S_ISDIR(st->stx_mode) || S_ISLNK(st->stx_mode) ? st->stx_size : 0;
}

char *
format_long(struct format *f, char *p, const struct format_entry *e)
{
	const struct statx *st = e->st;

	p = put_mode(p, kinds[kind_of(st)].letter, st->stx_mode);
	*p++ = ' ';
	p = put_number(p, st->stx_nlink, 4, ' ');
	*p++ = ' ';
	p = f->owner == NULL ? put_id(p, st->stx_uid) : put_column(p, f->owner);
	*p++ = ' ';
	p = f->group == NULL ? put_id(p, st->stx_gid) : put_column(p, f->group);
	*p++ = ' ';
	p = put_number(p, size_of(st), 8, ' ');
	*p++ = ' ';
	p = put_stamp(f, p, st->stx_mtime.tv_sec);
	*p++ = ' ';
	p = format_name(p, e->name, e->name_len);
	if (e->target == NULL)
		return p;
	p = PUT(p, " -> ");
	return format_name(p, e->target, strlen(e->target));
}

/* Mixes device and inode number with the session's key, so that the fact tells objects apart and nothing else. */
static char *
put_unique(char *p, const struct format *f, const struct statx *st)
{
	uint64_t h = f->key[0] ^ ((uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor);

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	h ^= st->stx_ino + f->key[1];
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	h = (h ^ h >> 29) * 0xd6e8feb86659fd93ULL;
	p = PUT(p, "unique=");
	p = put_hex(p, h ^ h >> 32);
	*p++ = ';';
	return p;
}

static const char *
type_of(const struct format_entry *e)
{
	return e->type != NULL ? e->type : kinds[kind_of(e->st)].type;
}

static char *
put_owner(char *p, uint32_t id, const char *name)
{
	p = name == NULL ? put_number(p, id, 1, ' ') : put_word(p, name);
	*p++ = ';';
	return p;
}

char *
format_facts(struct format *f, char *p, const struct format_entry *e, uint32_t facts)
{
	const struct statx *st = e->st;

	if (facts & FACT_TYPE) {
		p = PUT(p, "type=");
		p = put_str(p, type_of(e));
		*p++ = ';';
	}
	if ((facts & FACT_SIZE) && (S_ISREG(st->stx_mode) || S_ISLNK(st->stx_mode))) {
		p = PUT(p, "size=");
		p = put_number(p, size_of(st), 1, ' ');
		*p++ = ';';
	}
	if (facts & FACT_MODIFY) {
		p = PUT(p, "modify=");
		p = format_time(f, p, st->stx_mtime.tv_sec);
		*p++ = ';';
	}
	if (facts & FACT_PERM) {
		p = PUT(p, "perm=");
		p = put_str(p, e->perm);
		*p++ = ';';
	}
	if (facts & FACT_UNIQUE)
		p = put_unique(p, f, st);
	if (facts & FACT_MODE) {
		p = PUT(p, "UNIX.mode=");
		p = format_octal(p, st->stx_mode & 07777u);
		*p++ = ';';
	}
	if (facts & FACT_OWNER)
		p = put_owner(PUT(p, "UNIX.owner="), st->stx_uid, f->owner);
	if (facts & FACT_GROUP)
		p = put_owner(PUT(p, "UNIX.group="), st->stx_gid, f->group);
	*p++ = ' ';
	return format_name(p, e->name, e->name_len);
}
