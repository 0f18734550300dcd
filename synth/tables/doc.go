// Package tables is the author that needs no model: it reads tables, draws questions from a
// typed query algebra over them, and writes arenas whose answers are computed, never guessed.
//
// # From files to tables
//
// [Read] takes CSV, TSV, JSON, Parquet and SQLite. What the columns are is found out, not
// asked: types, units, keys, categories, ranges, and foreign keys by inclusion. A [Labels]
// file says what people call things, where column names do not.
//
// # From tables to tools
//
// A column gives tools at the granularity of the paper's merging rules (ASTRA §2.2.4):
// parameters locate entities and never select attributes, and one operator is one tool. So
// there is a tool for each attribute, one to list and one to count the rows of a table that
// fit a filter, one for each extreme, and one for each arithmetic operator.
//
// # From tools to questions
//
// A plan is a DAG of calls, grown from the type of its answer: each operator knows what
// types it takes, and an operand is either known to the user or the result of another call.
// A plan that answers by accident is thrown away: leaving out an argument must change the
// answer, and other entities must have other answers. A grammar asks for the plan's answer
// the way people ask, in English or Chinese, without naming a tool.
//
// Every answer is computed twice: here, and by the JavaScript that the arena is made of,
// when its gold is played.
package tables
