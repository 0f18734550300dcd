// Package rows reads and writes the paper's files (the formats of its repository and of its
// released data), and rows for NeMo Gym.
//
// What is in the wild is read as it is there: dependencies that are null, [], a number or
// "None", ids that are numbers or texts, answers of any type, JSON within strings. A row
// that cannot be read is an error with its line, and the next row is read. Files are never
// held whole.
//
// Python tools are taken as they are: each is a module of its own in the bundle, so that
// names in two of them do not meet, and what it returns is told as print would, which is
// what the paper's sandbox compares (ASTRA §2.2.3).
package rows
