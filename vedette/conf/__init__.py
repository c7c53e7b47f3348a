"""Redis' configuration syntax: files and command lines in, typed settings out, and back again.

    quoting      splitting a line into words, and quoting a word
    statements   a text becomes `Statement`s, one for each line that says something
    reading      the order redis-server reads in: file, standard input, command line, `include`
    kinds        what a value looks like: yes/no, integer, memory size, one of several names, ...
    settings     the typed table of directives and their values: start-up, CONFIG GET, CONFIG SET
    rewrite      writing changed values into the existing text, keeping its order and comments
    serving      the directives of whoever serves clients

Pure but for `reading`, which opens the files it is told to read. Which directives exist beside
those of `serving`, `tls` and `vedette.acl` is for the server and the sentinel to say.
"""

from __future__ import annotations

from .kinds import (
    BadValueError,
    BufferLimit,
    BufferLimits,
    Choice,
    Integer,
    Kind,
    Memory,
    Octal,
    SavePoint,
    SavePoints,
    Text,
    WordList,
    Words,
    YesNo,
)
from .quoting import (
    UnbalancedQuotesError,
    quote_argument,
    quote_word,
    split_arguments,
    split_words,
)
from .reading import (
    COMMAND_LINE,
    CommandLine,
    ConfigFileMissingError,
    fatal_message,
    parse_command_line,
    read_file,
    read_statements,
)
from .rewrite import SIGNATURE, ConfigLine, TextRewriter, rewrite_text
from .settings import (
    Change,
    Directive,
    DirectiveTable,
    Flag,
    Settings,
    config_set_failed,
)
from .statements import Statement, parse_text

__all__ = [
    "Statement",
    "parse_text",
    "COMMAND_LINE",
    "CommandLine",
    "parse_command_line",
    "read_file",
    "read_statements",
    "fatal_message",
    "ConfigFileMissingError",
    "Kind",
    "YesNo",
    "Integer",
    "Memory",
    "Octal",
    "Text",
    "Choice",
    "Words",
    "WordList",
    "SavePoint",
    "SavePoints",
    "BufferLimit",
    "BufferLimits",
    "BadValueError",
    "Flag",
    "Directive",
    "DirectiveTable",
    "Settings",
    "Change",
    "config_set_failed",
    "ConfigLine",
    "TextRewriter",
    "rewrite_text",
    "SIGNATURE",
    "split_arguments",
    "split_words",
    "quote_argument",
    "quote_word",
    "UnbalancedQuotesError",
]
