/* Answers to "why?": the reason of a verdict in one line, and the whole story of an operation. */
#include "authz/layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

/* What one layer says to one step. */
struct opinion {
	bool allow, would_also_deny, on_resolved;
	char reason[640];
};

static void
make_request(struct request *r, enum authz_op op, const struct authz_object *o, const char *path)
{
	const struct authz_need *need = authz_need(op, o->kind);
	static const bool self[] = {
#define SELF true
#define ENTRY false
#define OP(name, missing, file, folder, on, text) on,
#include "authz/ops.def"
#undef OP
	};

	memset(r, 0, sizeof(*r));
	r->path = path;
	r->typed = o->path;
	r->len = strlen(path);
	r->kind = o->kind;
	r->self = o->kind == AUTHZ_FOLDER && self[op];
	r->want = need->alt[0] | need->alt[1];
}

static void
cite(struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	if (r && (missing & AUTHZ_RENFROM) && layer_is_below(l, r))
		text_add(t, "it is attached to %s, which a renamed directory would take out of its reach", l->prefix);
	else if (r && l->prefix && !path_within(r->path, r->len, l->prefix, l->prefix_len))
		text_add(t, "does not apply here: attached to %s", l->prefix);
	else if (l->error)
		text_add(t, "did not load, so it denies everything: %s", l->error);
	else
		l->dialect->cite(l, r, hit, missing, t);
}

/* What every layer that speaks here granted by, at the decision just made. */
static void
cite_all(struct authz_policy *p, const struct authz_object *o, enum authz_op op, struct text *t)
{
	bool session = authz_op_session(op);
	struct request r;

	if (p->layer_count == 0) {
		text_add(t, "no layer: accounts without one may look and fetch");
		return;
	}
	if (!session) {
		bool resolved = o->resolved && !(p->subject.choices & AUTHZ_LINKS_TYPED);

		make_request(&r, op, o, resolved ? o->resolved : o->path);
		r.brief = true;
	}
	for (size_t i = 0; i < p->layer_count; i++) {
		struct layer *l = &p->layers[i];

		if (l->prefix && (session || !path_within(r.path, r.len, l->prefix, l->prefix_len)))
			continue;
		text_add(t, "%s%s: ", t->len ? "; " : "", l->dialect->name);
		cite(l, session ? NULL : &r, &p->hits[i], 0, t);
	}
	if (t->len == 0)
		text_add(t, "no layer is attached here");
}

char *
authz_reason(
    struct authz_policy *p, const struct authz_object *o, const struct authz_verdict *v, char *dst, size_t size)
{
	struct request r, *asked = NULL;
	struct text t;

	text_begin(&t, dst, size);
	if (v->allow) {
		cite_all(p, o, v->op, &t);
		return dst;
	}
	if (v->layer < 0) {
		if (p->layer_count == 0)
			text_add(&t, "no layer: accounts without one may only look and fetch (%s is missing)",
			    authz_right_word(v->missing));
		else
			text_add(&t, v->missing & AUTHZ_PASSWD ? "this account may not change its password" :
			    v->missing & AUTHZ_SYMLINK ? "with link_policy = typed those whom rules about paths bind "
							 "may not make links" :
							 "the path cannot be judged");
		return dst;
	}
	if (o && !authz_op_session(v->op)) {
		make_request(&r, v->op, o, v->on_resolved ? o->resolved : o->path);
		asked = &r;
	}
	text_add(&t, "%s: ", p->layers[v->layer].dialect->name);
	if (v->moved && asked != NULL) {
		r.brief = true;
		cite(&p->layers[v->layer], &r, &v->hit, 0, &t);
		text_add(&t, v->into ? " speaks of what would lie below the new name, and gives more than there is now" :
				       " speaks of what lies below this directory, and would not under its new name");
	} else
		cite(&p->layers[v->layer], asked, &v->hit, v->missing, &t);
	if (asked != NULL && v->on_resolved) {
		text_add(&t, "; the link leads to ");
		text_add_escaped(&t, o->resolved, strlen(o->resolved));
	}
	return dst;
}

/* ----------------------------------------------------------- one layer alone */

/* The mask a layer alone gives to this alternative of the need that suits it best. */
static uint32_t
lacking(const struct authz_need *need, uint32_t rights)
{
	uint32_t best = 0;

	for (unsigned i = 0; i < need->n; i++) {
		uint32_t m = need->alt[i] & ~rights;

		if (m == 0)
			return 0;
		if (i == 0 || __builtin_popcount(m) < __builtin_popcount(best))
			best = m;
	}
	return best;
}

static void
ask_layer(struct layer *l, const struct authz_step *step, struct opinion *out)
{
	const struct authz_object *o = &step->object;
	const struct authz_need *need = authz_need(step->op, o->kind);
	const char *paths[2] = { o->path, o->resolved };
	struct authz_hit hit = { 0 };
	struct request r;
	struct text t;
	uint32_t rights, missing = 0;

	out->on_resolved = false;
	text_begin(&t, out->reason, sizeof(out->reason));
	if (authz_op_session(step->op)) {
		rights = l->error ? 0 : l->prefix ? AUTHZ_ALL : l->dialect->session(l, &hit);
		missing = lacking(need, rights);
		cite(l, NULL, &hit, missing, &t);
	}
	for (int i = 0; i < 2 && missing == 0 && !authz_op_session(step->op); i++) {
		if (!paths[i] ||
		    (i == 1 && (strcmp(paths[0], paths[1]) == 0 || (l->policy->subject.choices & AUTHZ_LINKS_TYPED))))
			break;
		make_request(&r, step->op, o, paths[i]);
		rights = layer_rights(l, &r, &hit);
		missing = lacking(need, rights);
		if (i == 1 && missing == 0)
			break;
		t.len = 0;
		cite(l, &r, &hit, missing, &t);
		out->on_resolved = i == 1;
	}
	if (out->on_resolved) {
		text_add(&t, "; the link leads to ");
		text_add_escaped(&t, o->resolved, strlen(o->resolved));
	}
	out->allow = missing == 0;
}

/* -------------------------------------------------------------- all of them */

struct story {
	const struct authz_step *step;
	struct authz_verdict verdict;
	struct opinion *layers;
	enum authz_outcome outcome;
};

struct telling {
	struct authz_policy *policy;
	struct story *stories;
	size_t count;
	enum authz_outcome outcome;
	size_t decider;			/* story that decides; count: all allow */
};

static enum authz_outcome
judge(struct authz_policy *p, const struct story *s)
{
	const struct authz_kernel *k = &s->step->kernel;

	if (!s->verdict.allow)
		return s->verdict.layer >= 0 && p->layers[s->verdict.layer].error ? AUTHZ_CANNOT_TELL : AUTHZ_DENY;
	if (!k->known)
		return k->text ? AUTHZ_CANNOT_TELL : AUTHZ_ALLOW;
	return k->allow ? AUTHZ_ALLOW : AUTHZ_DENY;
}

/* A rename that both sides allow may still take something out of a rule's reach: the source is refused then. */
static void
judge_move(struct telling *tell)
{
	struct story *s = tell->stories;
	struct opinion *out;
	struct authz_verdict v;

	if (tell->count != 2 || s[0].step->op != AUTHZ_OP_RNFR || s[1].step->op != AUTHZ_OP_RNTO ||
	    !s[0].verdict.allow || !s[1].verdict.allow ||
	    authz_decide_move(tell->policy, &s[0].step->object, &s[1].step->object, &v))
		return;
	out = &s[0].layers[v.layer];
	out->allow = false;
	authz_reason(tell->policy, &s[0].step->object, &v, out->reason, sizeof(out->reason));
	s[0].verdict = v;
	s[0].outcome = tell->outcome = AUTHZ_DENY;
	tell->decider = 0;
}

static int
gather(struct telling *tell, const struct authz_step *steps, size_t n)
{
	struct authz_policy *p = tell->policy;

	tell->stories = calloc(n, sizeof(*tell->stories));
	if (!tell->stories)
		return -ENOMEM;
	tell->count = tell->decider = n;
	for (size_t i = 0; i < n; i++) {
		struct story *s = &tell->stories[i];
		const struct authz_object *o = steps[i].object.path ? &steps[i].object : NULL;

		s->step = &steps[i];
		if (p->tree.turn)
			p->tree.turn(p->tree.context, steps[i].place);
		s->layers = calloc(p->layer_count + 1, sizeof(*s->layers));
		if (!s->layers)
			return -ENOMEM;
		for (size_t k = 0; k < p->layer_count; k++)
			ask_layer(&p->layers[k], &steps[i], &s->layers[k]);
		authz_decide(p, steps[i].op, o, &s->verdict);
		for (size_t k = 0; k < p->layer_count; k++)
			s->layers[k].would_also_deny = !s->layers[k].allow && (int)k != s->verdict.layer;
		s->outcome = judge(p, s);
		if (s->outcome != AUTHZ_ALLOW && tell->decider == n) {
			tell->decider = i;
			tell->outcome = s->outcome;
		}
	}
	judge_move(tell);
	return 0;
}

static const char *const outcome_words[] = { "ALLOW", "DENY", "CANNOT TELL" };

/* Which layer decided: text of at most size bytes. */
static void
name_decider(const struct telling *tell, char *dst, size_t size)
{
	const struct story *s = tell->decider < tell->count ? &tell->stories[tell->decider] : NULL;
	struct text t;

	text_begin(&t, dst, size);
	if (!s)
		text_add(&t, "all layers");
	else if (s->verdict.layer >= 0)
		text_add(
		    &t, "layer %d (%s)", s->verdict.layer + 1, tell->policy->layers[s->verdict.layer].dialect->name);
	else if (s->verdict.allow)
		text_add(&t, "the kernel");
	else
		text_add(&t, tell->policy->layer_count ? "the account" : "the default for accounts without layers");
	if (s && s->step->role)
		text_add(&t, ", on the %s", s->step->role);
}

static void
tell_kernel(const struct authz_kernel *k, FILE *out)
{
	char line[700];
	struct text t;

	text_begin(&t, line, sizeof(line));
	if (k->text)
		text_add_escaped(&t, k->text, strlen(k->text));
	else
		text_add(&t, "not asked");
	fprintf(out, "  %-18s %-6s %s\n", "kernel", k->known ? k->allow ? "allow" : "deny" : "-", line);
}

static void
tell_step(const struct telling *tell, const struct story *s, FILE *out)
{
	char path[1100], label[64];
	struct text t;

	if (s->step->role || s->step->object.resolved) {
		text_begin(&t, path, sizeof(path));
		if (s->step->object.path)
			text_add_escaped(&t, s->step->object.path, strlen(s->step->object.path));
		if (s->step->object.resolved) {
			text_add(&t, " -> ");
			text_add_escaped(&t, s->step->object.resolved, strlen(s->step->object.resolved));
		}
		fprintf(out, " %s %s\n", s->step->role ? s->step->role : "path", path);
	}
	for (size_t i = 0; i < tell->policy->layer_count; i++) {
		text_begin(&t, label, sizeof(label));
		text_add(&t, "layer %zu %s", i + 1, tell->policy->layers[i].dialect->name);
		fprintf(out, "  %-18s %-6s %s%s\n", label, s->layers[i].allow ? "allow" : "deny", s->layers[i].reason,
		    s->layers[i].would_also_deny ? "  [would also deny]" : "");
	}
	if (tell->policy->layer_count == 0)
		fprintf(out, "  %-18s %-6s accounts without a layer may look and fetch\n", "default",
		    s->verdict.allow ? "allow" : "deny");
	tell_kernel(&s->step->kernel, out);
}

static void
tell_text(const struct telling *tell, FILE *out)
{
	char decider[160];

	name_decider(tell, decider, sizeof(decider));
	fprintf(out, "%s  decided by %s\n", outcome_words[tell->outcome], decider);
	for (size_t i = 0; i < tell->count; i++)
		tell_step(tell, &tell->stories[i], out);
}

static void
json_layer(const struct telling *tell, const struct story *s, size_t i, struct json *j)
{
	const struct layer *l = &tell->policy->layers[i];

	json_open(j, NULL, '{');
	json_unsigned(j, "layer", i + 1);
	json_str(j, "language", l->dialect->name);
	json_bool(j, "allow", s->layers[i].allow);
	json_str(j, "reason", s->layers[i].reason);
	json_bool(j, "would_also_deny", s->layers[i].would_also_deny);
	json_close(j);
}

static void
json_step(const struct telling *tell, const struct story *s, struct json *j)
{
	char words[512];

	json_open(j, NULL, '{');
	json_str(j, "role", s->step->role);
	json_str(j, "operation", authz_op_name(s->step->op));
	json_str(j, "path", s->step->object.path);
	json_str(j, "resolved", s->step->object.resolved);
	json_str(j, "outcome", outcome_words[s->outcome]);
	json_str(j, "missing", authz_rights_text(s->verdict.allow ? 0 : s->verdict.missing, words, sizeof(words)));
	json_open(j, "layers", '[');
	for (size_t i = 0; i < tell->policy->layer_count; i++)
		json_layer(tell, s, i, j);
	json_close(j);
	json_open(j, "kernel", '{');
	json_bool(j, "known", s->step->kernel.known);
	json_bool(j, "allow", s->step->kernel.known && s->step->kernel.allow);
	json_str(j, "reason", s->step->kernel.text);
	json_close(j);
	json_close(j);
}

static int
tell_json(const struct telling *tell, char **text)
{
	char decider[160];
	struct json j;

	name_decider(tell, decider, sizeof(decider));
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "outcome", outcome_words[tell->outcome]);
	json_str(&j, "decided_by", decider);
	json_open(&j, "steps", '[');
	for (size_t i = 0; i < tell->count; i++)
		json_step(tell, &tell->stories[i], &j);
	json_close(&j);
	json_close(&j);
	*text = json_text(&j) ? strdup(json_text(&j)) : NULL;
	json_free(&j);
	return *text ? 0 : -ENOMEM;
}

static int
tell_all(const struct telling *tell, bool json, char **text)
{
	size_t size;
	FILE *out;

	if (json)
		return tell_json(tell, text);
	*text = NULL;
	out = open_memstream(text, &size);
	if (!out)
		return -ENOMEM;
	tell_text(tell, out);
	return fclose(out) == 0 && *text ? 0 : -ENOMEM;
}

int
authz_explain(struct authz_policy *p, const struct authz_step *steps, size_t n, bool json, char **text)
{
	struct telling tell = { .policy = p, .outcome = AUTHZ_ALLOW };
	int r = gather(&tell, steps, n);

	if (r == 0)
		r = tell_all(&tell, json, text);
	for (size_t i = 0; tell.stories && i < n; i++)
		free(tell.stories[i].layers);
	free(tell.stories);
	return r < 0 ? r : (int)tell.outcome;
}
