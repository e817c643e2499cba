# Writes a header with JSON files as character arrays: cmake -DOUT=… -DFILES=a.json;b.json -P embed.cmake
# Each byte goes out as hexadecimal, so nothing has to be escaped and compilers have no limit on its length.
set(text "/* Made from the JSON files in gateway/protocols/api by embed.cmake. */\n")
foreach(file ${FILES})
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND text "static const char api_${name}[] = {${bytes}0x00};\n")
endforeach()
file(WRITE ${OUT} "${text}")
