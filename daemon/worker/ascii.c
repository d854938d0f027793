#include "config.h"

#include "daemon/worker/ascii.h"

size_t
ascii_encode(struct ascii *a, const char *in, size_t n, char *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (in[i] == '\n' && !a->cr)
			out[k++] = '\r';
		a->cr = in[i] == '\r';
		out[k++] = in[i];
	}
	return k;
}

size_t
ascii_decode(struct ascii *a, const char *in, size_t n, char *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (a->cr && in[i] != '\n')
			out[k++] = '\r';
		a->cr = in[i] == '\r';
		if (!a->cr)
			out[k++] = in[i];
	}
	return k;
}

size_t
ascii_decode_end(struct ascii *a, char *out)
{
	size_t n = a->cr ? 1 : 0;

	if (n > 0)
		out[0] = '\r';
	a->cr = false;
	return n;
}
