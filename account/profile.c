#include "config.h"

#include <errno.h>
#include <string.h>

#include "account/profile.h"
#include "account/unix.h"
#include "common/str.h"

uint32_t
profile_dialect_uid(const struct account *a)
{
	int64_t uid = a->dialect_uid;

	if (uid < 0 && a->resolved != NULL)
		uid = a->resolved->s.cluster_uid;
	return uid >= 0 ? (uint32_t)uid : a->uid;
}

const struct conf_layer *
profile_guest_layer(const struct conf *conf, const struct account *a)
{
	static const struct conf_layer guest = {
		.dialect = "pyftpdlib", .prefix = "", .text = "elr", .file = "anonymous", .scope = SC_SERVER, .section = ""
	};
	const struct conf_section *section = conf_section_find(conf, SC_ACCOUNT, a->name);

	return (a->flags & ACCOUNT_ANONYMOUS) && (section == NULL || !conf_section_sets(section, K_layer)) ? &guest : NULL;
}

/* Does a layer's language know Unix groups by name? Looking the names up costs as much as the rest of the profile. */
static bool
asks_for_groups(const struct conf_layers *layers)
{
	for (size_t i = 0; i < layers->n; i++)
		if (str_same(layers->v[i].dialect, "ups"))
			return true;
	return false;
}

void
profile_group_names(const struct account *a, char *out, size_t size)
{
	const struct conf_list *groups = &a->resolved->s.groups;

	out[0] = '\0';
	for (size_t i = 0; i < groups->n; i++) {
		size_t n = strlen(out);

		(void)str_format(out + n, size - n, "%s%s", n == 0 ? "" : ",", groups->v[i]);
	}
	if (asks_for_groups(&a->resolved->s.layer))
		unix_group_names(a, out, size);
}

int
profile_places(const struct account *a, char *home, char *root, char *start, size_t size)
{
	const struct settings *set = &a->resolved->s;
	const char *text = set->home != NULL ? set->home : a->home;
	bool own_start = set->start != NULL && strcmp(set->start, "/") != 0;
	int r = text == NULL ? -ENOENT : account_expand(a, text, home, size);

	if (r != 0 || home[0] != '/')
		return r != 0 ? r : -ENOENT;
	r = str_copy(start, size, own_start ? set->start : set->jail ? "/" : home);
	return r != 0 ? r : str_copy(root, size, set->jail ? home : "/");
}

bool
account_changes_password(const struct account *a)
{
	return a->resolved->s.change_password && a->source != NULL && a->source->set_password != NULL;
}

bool
account_administers(const struct account *a)
{
	bool chief = a->resolved->s.administrator || (a->flags & ACCOUNT_ADMIN) != 0;

	return chief && a->source != NULL && (a->source->add != NULL || a->source->set_password != NULL);
}
