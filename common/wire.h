/*
 * Bounded writer and reader for everything that is marshalled.  Both carry a
 * sticky error: code is a straight list of puts or gets with one test at the
 * end.  Integers travel in the machine's order (both ends are processes of one
 * host).  Anyone may use it; it trusts nothing it reads.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr {
	uint8_t *buf;
	size_t size, len;
	int error;		/* 0 or the first SP_E* met */
};

struct rd {
	const uint8_t *buf;
	size_t len, pos;
	int error;
};

void wr_init(struct wr *, void *buf, size_t size);
void wr_raw(struct wr *, const void *, size_t);
void wr_u8(struct wr *, uint8_t);
void wr_u16(struct wr *, uint16_t);
void wr_u32(struct wr *, uint32_t);
void wr_u64(struct wr *, uint64_t);
/* A 32-bit length and that many bytes; longer than max is SP_ERANGE. */
void wr_bytes(struct wr *, const void *, size_t len, size_t max);
/* A C string of at most max bytes without its NUL. */
void wr_str(struct wr *, const char *, size_t max);

void rd_init(struct rd *, const void *buf, size_t len);
void rd_raw(struct rd *, void *, size_t);
uint8_t rd_u8(struct rd *);
uint16_t rd_u16(struct rd *);
uint32_t rd_u32(struct rd *);
uint64_t rd_u64(struct rd *);
/* Copies counted bytes into dst[max]; returns their number, 0 after an error. */
size_t rd_bytes(struct rd *, void *dst, size_t max);
/* Copies a counted string into dst[max + 1] and ends it; a NUL inside is SP_EFORMAT. */
void rd_str(struct rd *, char *dst, size_t max);
/* 0 if all went well and everything was consumed, else the sticky error or SP_ETRAILING. */
int rd_end(struct rd *);

#endif
