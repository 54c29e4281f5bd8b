// One output stream of a kept run, on disk: written from its first byte on, and read from there by
// every client that follows the run.
//
// A journal is a row of segments. Each is a file "stdout-OFFSET" or "stderr-OFFSET"; OFFSET is the
// offset of its first byte in 16 hexadecimal digits. A segment is a row of records
// (journal_record.hpp). Each record holds one frame of PROTOCOL.md (data, gap or eof) on channel 0.
//
// Every segment except the one at 0 begins with a gap frame. Its "to" is OFFSET and its "crc32" is
// the checksum of all bytes below, so that reading can begin at any segment. A segment takes a
// tenth of the size cap. The first five segments stay. Of the later ones the latest five stay. The
// hole between the two groups shows in the offsets; a reader reports it as a gap. Bytes that a full
// disk refused are a hole of the same kind.
//
// A whole record is never taken back, so a reader may use it at once. The writer cuts off a record
// that it could not write whole, and a reader never uses one.
#pragma once

#include "server/kept/journal_reader.hpp"  // IWYU pragma: export
#include "server/kept/journal_writer.hpp"  // IWYU pragma: export
