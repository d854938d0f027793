/*
 * Values back to text that the parser reads the same.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/str.h"

typedef void writer(const struct conf_key *, const void *value, char *dst, size_t size);

static void
append(char *dst, size_t size, const char *between, const char *text)
{
	size_t n = strlen(dst);

	(void)str_format(dst + n, size - n, "%s%s", n > 0 ? between : "", text);
}

static void
write_bool(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	(void)k;
	(void)str_copy(dst, size, *(const bool *)v ? "yes" : "no");
}

static void
write_int(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	(void)k;
	(void)str_format(dst, size, "%" PRId64, *(const int64_t *)v);
}

/* The largest unit that divides the number. */
static void
write_seconds(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	uint32_t n = *(const uint32_t *)v;

	(void)k;
	if (n > 0 && n % 86400 == 0)
		(void)str_format(dst, size, "%" PRIu32 "d", n / 86400);
	else if (n > 0 && n % 3600 == 0)
		(void)str_format(dst, size, "%" PRIu32 "h", n / 3600);
	else if (n > 0 && n % 60 == 0)
		(void)str_format(dst, size, "%" PRIu32 "m", n / 60);
	else
		(void)str_format(dst, size, n == 0 ? "%" PRIu32 : "%" PRIu32 "s", n);
}

static void
write_size(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	static const char *const letters[] = { "", "K", "M", "G", "T" };
	uint64_t n = *(const uint64_t *)v;
	unsigned i;

	(void)k;
	for (i = 0; i < 4 && n > 0 && n % 1024 == 0; i++)
		n /= 1024;
	(void)str_format(dst, size, "%" PRIu64 "%s", n, letters[i]);
}

static void
write_octal(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	(void)k;
	(void)str_format(dst, size, "0%" PRIo32, *(const uint32_t *)v);
}

static void
write_date(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	time_t when = (time_t)*(const int64_t *)v;
	struct tm tm;

	(void)k;
	if (when == 0 || localtime_r(&when, &tm) == NULL || strftime(dst, size, "%Y-%m-%d %H:%M", &tm) == 0)
		dst[0] = '\0';
}

static void
write_string(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const char *s = *(const char *const *)v;

	(void)k;
	(void)str_copy(dst, size, s == NULL ? "" : s);
}

static void
write_enum(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	(void)str_copy(dst, size, k->words[*(const int *)v].word);
}

static void
write_list(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const struct conf_list *list = v;

	(void)k;
	for (size_t i = 0; i < list->n; i++)
		append(dst, size, ", ", list->v[i]);
}

static void
write_nets(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const struct addr_nets *nets = v;
	char text[ADDR_TEXT_MAX];

	(void)k;
	for (size_t i = 0; i < nets->n; i++)
		append(dst, size, ", ", addr_net_text(text, &nets->v[i]));
}

static void
write_netmap(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const struct addr_map *map = v;
	char text[ADDR_TEXT_MAX];

	(void)k;
	for (size_t i = 0; i < map->n; i++) {
		append(dst, size, ", ", addr_net_text(text, &map->v[i].net));
		append(dst, size, " = ", map->v[i].target);
	}
}

static void
write_ports(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const struct conf_ports *p = v;

	(void)k;
	(void)str_format(dst, size, p->low == p->high ? "%u" : "%u-%u", p->low, p->high);
}

/* Rules of several layers cannot stand in one value: the languages are named, show-config prints the rest. */
static void
write_layers(const struct conf_key *k, const void *v, char *dst, size_t size)
{
	const struct conf_layers *layers = v;

	(void)k;
	for (size_t i = 0; i < layers->n; i++) {
		append(dst, size, "; ", layers->v[i].prefix);
		if (layers->v[i].prefix[0] != '\0' || i == 0)
			append(dst, size, " ", layers->v[i].dialect);
		else
			append(dst, size, "; ", layers->v[i].dialect);
		append(dst, size, " ", layers->v[i].text);
	}
}

static writer *const writers[CONF_TYPE_COUNT] = {
	[CONF_BOOL] = write_bool, [CONF_INT] = write_int, [CONF_SECONDS] = write_seconds, [CONF_SIZE] = write_size,
	[CONF_RATE] = write_size, [CONF_OCTAL] = write_octal, [CONF_DATE] = write_date, [CONF_STRING] = write_string,
	[CONF_PATH] = write_string, [CONF_ENUM] = write_enum, [CONF_LIST] = write_list, [CONF_NETS] = write_nets,
	[CONF_NETMAP] = write_netmap, [CONF_PORTS] = write_ports, [CONF_LAYERS] = write_layers,
};

const char *
conf_value_text(const struct settings *s, enum conf_key_id id, char *dst, size_t size)
{
	const struct conf_key *k = CONF_ROW(id);

	dst[0] = '\0';
	writers[k->type](k, (const char *)s + k->offset, dst, size);
	return dst;
}
