// Package httpapi is the control side: how trainers and people open, play, score, list and
// export episodes over REST. Agents never come in here, and their keys open nothing.
//
// One table, routes, has every operation; the router, the OpenAPI document, the body
// limits and the labels of the metrics are all made of it. Another, in errors.go, maps our
// errors to problem documents (RFC 9457) and, for the client, back again.
//
// A request passes, in this order: metrics, panics, Host, Origin, bearer token, body
// limit, time limit. Only /healthz needs no token.
package httpapi
