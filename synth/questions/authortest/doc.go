// Package authortest is a chat server that plays the model of package questions: it speaks
// the real protocol over HTTP, streaming and not, and answers from the request alone, so
// that the same request is answered the same way. A competent author makes instances by
// template from whatever it is given; a [Fault] spoils its answers.
package authortest
