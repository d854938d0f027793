/* Globs with dates; see dateglob.h. */
#include "authz/dateglob.h"

#include <errno.h>
#include <string.h>

#define USER_MARK	"${USER}"
#define DAYS_MAX	36500		/* a hundred years either way */
#define SECONDS_A_DAY	86400

/*
 * PART(name, how strftime(3) writes it, how many letters of that count at its end, 0: all).
 * No text is longer than its name with the braces.
 */
#define PARTS(PART) \
	PART("year.decimal", "%Y", 0) PART("year.no_century", "%Y", 2) \
	PART("month.decimal", "%-m", 0) PART("month.padded", "%m", 0) \
	PART("month.name", "%B", 0) PART("month.abbreviated", "%b", 0) \
	PART("day.decimal", "%-d", 0) PART("day.padded", "%d", 0) PART("day.of_year_padded", "%j", 0) \
	PART("day.name", "%A", 0) PART("day.abbreviated", "%a", 0) \
	PART("hour.decimal_24", "%-H", 0) PART("hour.padded_24", "%H", 0) \
	PART("hour.decimal_12", "%-I", 0) PART("hour.padded_12", "%I", 0) PART("hour.am_pm", "%p", 0) \
	PART("minute.decimal", "%-M", 0) PART("minute.padded", "%M", 0) \
	PART("second.decimal", "%-S", 0) PART("second.padded", "%S", 0)

#define PART(name, format, last) { name, last },
static const struct part {
	const char *name;
	size_t last;
} parts[] = { PARTS(PART) };
#undef PART
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

struct dateglob {
	struct span pattern;
	const char *user;
	int days;
	time_t when;			/* that text was made for */
	char *text, *next;		/* room for one date each */
	size_t len;
	struct arena *arena;		/* of glob; NULL: not compiled */
	struct glob glob;
	struct glob ever;		/* any text for each part of a date; in the policy's arena */
};

/* --------------------------------------------------------------------- dates */

/* All parts of one date, in the order of the table. */
struct date {
	char text[512];
	struct span part[PART_COUNT];
};

/* Days are moved on the calendar of the clock on the wall, whatever its zone does in between. */
static bool
make_date(struct date *d, time_t when, int days)
{
#define FORMAT(name, format, last) format "\n"
	static const char format[] = PARTS(FORMAT);
#undef FORMAT
	struct tm tm;
	char *at = d->text;

	if (!localtime_r(&when, &tm))
		return false;
	when = timegm(&tm) + (time_t)days * SECONDS_A_DAY;
	if (!gmtime_r(&when, &tm) || strftime(d->text, sizeof(d->text), format, &tm) == 0)
		return false;
	for (size_t i = 0; i < PART_COUNT; i++) {
		size_t len = strcspn(at, "\n"), last = parts[i].last && parts[i].last < len ? parts[i].last : len;

		d->part[i] = (struct span){ at + len - last, last };
		at += len + 1;
	}
	return true;
}

/* The number of the part "{name}" at s, and its length; PART_COUNT: there is none. */
static size_t
find_part(struct span s, size_t *len)
{
	const char *close = memchr(s.at, '}', s.len);
	size_t i = 0;

	*len = close ? (size_t)(close - s.at) + 1 : s.len;
	if (!close)
		return PART_COUNT;
	while (i < PART_COUNT && !span_is((struct span){ s.at + 1, *len - 2 }, parts[i].name))
		i++;
	return i;
}

static bool
at_user(struct span s)
{
	return s.len >= strlen(USER_MARK) && memcmp(s.at, USER_MARK, strlen(USER_MARK)) == 0;
}

/* Length of the text at s up to the next part; the name of the user has braces of its own. */
static size_t
text_length(struct span s)
{
	size_t n = 0;

	while (n < s.len && s.at[n] != '{')
		n += at_user((struct span){ s.at + n, s.len - n }) ? strlen(USER_MARK) : 1;
	return n;
}

/*
 * Writes the pattern with its dates, NULL: a star for each, to dst, which holds as much as the pattern. Returns the
 * length.
 */
static size_t
expand(struct span s, const struct date *d, char *dst)
{
	static const struct span any = { "*", 1 };
	char *out = dst;
	size_t n;

	while (s.len) {
		n = text_length(s);
		memcpy(out, s.at, n);
		out += n;
		s.at += n;
		s.len -= n;
		if (s.len) {
			size_t number = find_part(s, &n);
			const struct span *part = d ? &d->part[number] : &any;

			memcpy(out, part->at, part->len);
			out += part->len;
			s.at += n;
			s.len -= n;
		}
	}
	return (size_t)(out - dst);
}

/* --------------------------------------------------------------- compilation */

static const char *
check_parts(struct span s, const char **at)
{
	while (s.len) {
		size_t n = text_length(s);

		s.at += n;
		s.len -= n;
		*at = s.at;
		if (s.len && find_part(s, &n) == PART_COUNT)
			return "an unknown part of a date";
		s.at += s.len ? n : 0;
		s.len -= s.len ? n : 0;
	}
	return NULL;
}

/* "", or a sign, a number and d for days. */
static const char *
read_offset(struct span s, int *days, const char **at)
{
	static const char wrong[] = "an offset other than days, such as -1d";
	int n = 0;

	*days = 0;
	*at = s.at;
	if (s.len == 0)
		return NULL;
	if (s.len < 3 || (*s.at != '+' && *s.at != '-') || s.at[s.len - 1] != 'd')
		return wrong;
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return wrong;
		n = n * 10 + (s.at[i] - '0');
		if (n > DAYS_MAX)
			return "an offset of more than a hundred years";
	}
	*days = *s.at == '-' ? -n : n;
	return NULL;
}

/* Makes the glob of that time; NULL, or as glob_compile(). */
static const char *
compile_at(struct dateglob *d, time_t now)
{
	struct date date;
	const char *at, *wrong, *text;
	size_t len;

	if (!make_date(&date, now, d->days))
		return "";
	len = expand(d->pattern, &date, d->next);
	d->when = now;
	if (d->arena && len == d->len && memcmp(d->text, d->next, len) == 0)
		return NULL;
	text = d->next;
	d->next = d->text;
	d->text = (char *)(uintptr_t)text;
	d->len = len;
	arena_free(d->arena);
	d->arena = arena_new();
	wrong = d->arena ? glob_compile(d->arena, (struct span){ text, len }, d->user, &d->glob, &at) : "";
	if (wrong) {
		arena_free(d->arena);
		d->arena = NULL;
	}
	return wrong;
}

static const char *
compile_ever(struct dateglob *d, struct arena *a)
{
	const char *at;
	char *text = arena_alloc(a, d->pattern.len + 1);

	return text ? glob_compile(a, (struct span){ text, expand(d->pattern, NULL, text) }, d->user, &d->ever, &at) : "";
}

const char *
dateglob_compile(struct arena *a, struct span pattern, struct span offset, const char *user, struct dateglob **out,
    const char **at)
{
	struct dateglob *d = arena_alloc(a, sizeof(*d));
	const char *wrong;

	*out = d;
	*at = NULL;
	if (!d || !(d->text = arena_alloc(a, pattern.len + 1)) || !(d->next = arena_alloc(a, pattern.len + 1)))
		return "";
	d->pattern = pattern;
	d->user = user;
	if ((wrong = check_parts(pattern, at)) || (wrong = read_offset(offset, &d->days, at)))
		return wrong;
	if (!(wrong = compile_at(d, time(NULL))))
		wrong = compile_ever(d, a);
	*at = wrong && *wrong ? pattern.at : NULL;
	return wrong;
}

const struct glob *
dateglob_at(struct dateglob *d, time_t now)
{
	return (!d->arena || now != d->when) && compile_at(d, now) ? NULL : &d->glob;
}

const struct glob *
dateglob_ever(const struct dateglob *d)
{
	return &d->ever;
}

int
dateglob_match(struct dateglob *d, time_t now, const char *folded, size_t len)
{
	const struct glob *g = dateglob_at(d, now);

	return g ? glob_match(g, folded, len) : -ENOMEM;
}

void
dateglob_free(struct dateglob *d)
{
	if (!d)
		return;
	arena_free(d->arena);
	d->arena = NULL;
}
