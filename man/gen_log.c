/* sallyport-log(5): events and fields of common/events.def, and the words of their values. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "man/mdoc.h"
#include "privsep/msg.h"

struct word {
	const char *word, *meaning;
};

static const struct word fields[] = {
#define FIELD(name, word, text) { word, text },
#include "common/events.def"
};

/* The table's order, titles of topics between the events. */
static const struct {
	const char *title;
	int event;
	const char *meaning, *remedy;
} order[] = {
#define TOPIC(title) { title, -1, NULL, NULL },
#define EVENT(event, word, low, high, by, fields, meaning, remedy, unseen) { NULL, EVENT_##event, meaning, remedy },
#include "common/events.def"
};

static void
print_fields_of(const struct log_event_row *row)
{
	const char *between = ".Pp\nFields:";

	for (int i = 0; i < LOG_FIELD_COUNT; i++) {
		if (row->fields[i] == LOG_NEVER)
			continue;
		printf("%s\n", between);
		printf(row->fields[i] == LOG_ALWAYS ? ".Va %s" : ".Op Va %s", fields[i].word);
		between = " ,";
	}
	if (*between == ' ')
		puts(" .");
}

static void
print_event(int event, const char *meaning, const char *remedy)
{
	const struct log_event_row *row = log_event_row((enum log_event)event);

	printf(".It Cm %s Pq %s", row->name, log_level_word(row->low));
	if (row->high != row->low)
		printf(" or %s", log_level_word(row->high));
	putchar('\n');
	mdoc_text(meaning);
	if (remedy != NULL) {
		puts(".Em Remedy :");
		mdoc_text(remedy);
	}
	print_fields_of(row);
}

static void
print_events(void)
{
	bool open = false;

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (order[i].title == NULL) {
			print_event(order[i].event, order[i].meaning, order[i].remedy);
			continue;
		}
		if (open)
			mdoc_list_end();
		mdoc_macro("Ss", order[i].title, NULL);
		mdoc_list_begin("Ds");
		open = true;
	}
	mdoc_list_end();
}

/* A list of words in that style, from the first one on. */
static void
print_words(const char *macro, const struct word *w, size_t n)
{
	mdoc_list_begin("client_certificate");
	for (size_t i = 0; i < n; i++) {
		printf(".It %s %s\n", macro, w[i].word);
		mdoc_text(w[i].meaning);
	}
	mdoc_list_end();
}

static void
print_fields(void)
{
	print_words("Va", fields, sizeof fields / sizeof *fields);
}

static void
print_reasons(void)
{
	static const struct word rows[] = {
#define REASON_ROW(name, word, meaning) { word, meaning },
		ACCOUNT_REASONS(REASON_ROW)
#undef REASON_ROW
	};

	/* The first is no refusal. */
	print_words("Cm", rows + 1, sizeof rows / sizeof *rows - 1);
}

static void
print_transfer_ends(void)
{
	static const struct word rows[] = {
#define FINISH_HOW(name, word, meaning) { word, meaning },
		FINISH_HOWS(FINISH_HOW)
#undef FINISH_HOW
	};

	/* The first is that of a transfer that is complete, which has none. */
	print_words("Cm", rows + 1, sizeof rows / sizeof *rows - 1);
}

static void
print_session_ends(void)
{
	static const struct word rows[] = {
#define EXIT_ROW(name, number, word, meaning) { word, meaning },
		SP_EXITS(EXIT_ROW)
#undef EXIT_ROW
#define END_ROW(name, word, meaning) { word, meaning },
		SP_ENDS(END_ROW)
#undef END_ROW
	};
	const size_t exits = sizeof rows / sizeof *rows - SP_END_COUNT;

	print_words("Cm", rows, exits);
	/* The first is that of the exits as well. */
	print_words("Cm", rows + exits + 1, SP_END_COUNT - 1);
}

static void
print_levels(void)
{
	static const struct { const char *word; int priority; } rows[] = {
#define LEVEL_ROW(name, word, priority) { word, priority },
		LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
	};

	puts(".Bl -column \"warning\" \"priority\" -compact");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		printf(".It %s Ta %d\n", rows[i].word, rows[i].priority);
	puts(".El");
}

const struct generator log_generators[] = {
	{ "LOG_LEVELS", print_levels },
	{ "LOG_EVENTS", print_events },
	{ "LOG_FIELDS", print_fields },
	{ "LOGIN_REASONS", print_reasons },
	{ "TRANSFER_ENDS", print_transfer_ends },
	{ "SESSION_ENDS", print_session_ends },
	{ NULL, NULL },
};
