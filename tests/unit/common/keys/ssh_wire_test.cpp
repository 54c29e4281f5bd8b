#include "common/keys/ssh_wire.hpp"

#include "common/base/error.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace std::string_literals;
using frsh::ProtocolError;
using frsh::WireReader;
using frsh::WireWriter;

TEST_CASE("ssh wire: written values are read back to the last byte") {
    const std::string bytes = WireWriter()
                                  .u8(7)
                                  .u32(0xDEADBEEF)
                                  .string("two\0words"s)
                                  .mpint("\x80\x01"s)
                                  .mpint("\0\0\x7F"s)
                                  .take();
    WireReader reader(bytes, "test");
    CHECK(reader.u8() == 7);
    CHECK(reader.u32() == 0xDEADBEEF);
    CHECK(reader.string() == "two\0words"s);
    CHECK(reader.positive_mpint() == "\x80\x01"s);
    CHECK_FALSE(reader.at_end());
    CHECK_THROWS_AS(reader.finish(), ProtocolError);
    CHECK(reader.positive_mpint() == "\x7F"s);
    CHECK_NOTHROW(reader.finish());
}

TEST_CASE("ssh wire: numbers are encoded as in RFC 4251's examples") {
    CHECK(WireWriter().mpint("").bytes() == "\0\0\0\0"s);
    CHECK(WireWriter().mpint("\x09\xA3\x78\xF9\xB2\xE3\x32\xA7"s).bytes() ==
          "\0\0\0\x08\x09\xA3\x78\xF9\xB2\xE3\x32\xA7"s);
    CHECK(WireWriter().mpint("\x80"s).bytes() == "\0\0\0\x02\0\x80"s);
}

TEST_CASE("ssh wire: a length beyond the bytes is refused") {
    for (const std::string& bad :
         {""s, "\0\0\0"s, "\0\0\0\x01"s, "\xFF\xFF\xFF\xFF"s, "\x80\0\0\0zyx"s}) {
        WireReader reader(bad, "test");
        CHECK_THROWS_AS(reader.string(), ProtocolError);
    }
    const std::string bytes = "\0\0\0\x03zyx"s;
    WireReader limited(bytes, "test");
    CHECK_THROWS_WITH_AS(limited.string(2), "test: a string is too long", ProtocolError);
}

TEST_CASE("ssh wire: a number has one encoding and is above zero") {
    for (const std::string& bad : {"\0\0\0\0"s, "\0\0\0\x01\0"s, "\0\0\0\x01\x80"s,
                                   "\0\0\0\x02\0\x7F"s, "\0\0\0\x02\0\0"s}) {
        WireReader reader(bad, "test");
        CHECK_THROWS_AS(reader.positive_mpint(), ProtocolError);
    }
    // The zero that keeps a number positive is not one of its bytes.
    const std::string positive = "\0\0\0\x03\0\x80\0"s;
    WireReader fits(positive, "test");
    CHECK(fits.positive_mpint(2) == "\x80\0"s);
    const std::string long_number = "\0\0\0\x03\x01\x80\0"s;
    WireReader too_long(long_number, "test");
    CHECK_THROWS_AS(too_long.positive_mpint(2), ProtocolError);
}
