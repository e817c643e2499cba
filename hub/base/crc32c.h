/*
 * crc32c: the checksum of stored records (CRC-32C, Castagnoli; RFC 3720, appendix B.4).
 *
 * Uses the processor's own instruction where there is one. Threads: any.
 */
#ifndef NHUB_BASE_CRC32C_H
#define NHUB_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes behind what `crc` already covers; 0 begins. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/* The same without the processor's instruction: what machines without it use, and tests compare. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t len);

#endif
