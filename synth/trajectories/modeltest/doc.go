// Package modeltest is a chat server for tests of trajectory synthesis: it writes chains and
// requests, plays agent, user and emulated tools, and can be made to do each of these badly.
//
// It knows nothing from one request to the next. What a request is to be served with stands
// in it as a reference, "(ref 3fa2-91bc)", a code for each tool's name, which an agent that
// has the tools can tell and which no check takes for a name. What is asked of it and in
// which words decides every reply, so a run that goes on finds the replies that it had.
package modeltest
