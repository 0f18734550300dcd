package servers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// What an OpenAPI document may have.
const (
	maxOpenAPI    = 16 << 20 // bytes; the largest that are published have some 12 MB
	maxOperations = 2000
)

// ReadOpenAPI reads an OpenAPI 3 document, JSON or YAML: one tool an operation. Arguments
// are its path and query parameters and the properties of its body, or the body as one where
// they cannot stand beside each other; headers and cookies are the client's, not an agent's.
// What it returns is the schema of its first successful JSON response, if that is of a size
// that an arena takes. References lead into the document alone. Patterns that RE2 does not
// know are left out: no real server is called with what they would refuse.
//
// Its name is taken from names, which may be nil.
func ReadOpenAPI(b []byte, names *Names) (Document, error) {
	if names == nil {
		names = new(Names)
	}
	doc, err := loadOpenAPI(b)
	if err != nil {
		return Document{}, err
	}
	called := "api"
	if doc.Info != nil {
		called = cmp.Or(doc.Info.Title, called)
	}
	r := &openAPIReader{d: Document{Server: Server{Name: names.Take(called), Title: called}}}
	if doc.Info != nil {
		r.d.Server.Description = doc.Info.Description
	}
	r.names = namesOf(r.d.Server.Name)
	r.read(doc)
	r.d.Server.speak()
	return r.d, nil
}

func loadOpenAPI(b []byte) (*openapi3.T, error) {
	if len(b) > maxOpenAPI {
		return nil, fmt.Errorf("%d bytes; an OpenAPI document may have %d: take a part of it", len(b), maxOpenAPI)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b) // which follows no reference out of the document
	if outside, ok := errors.AsType[*openapi3.DisallowedExternalRefError](err); ok {
		return nil, fmt.Errorf("$ref %.200q leads out of the document: bundle it into one first", outside.Ref)
	}
	if err != nil {
		return nil, fmt.Errorf("no OpenAPI document: %.500w", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		return nil, errors.New("no OpenAPI 3 document: it does not begin with openapi: 3; convert Swagger 2 first")
	}
	operations := 0
	for _, item := range doc.Paths.Map() {
		if item != nil {
			operations += len(item.Operations())
		}
	}
	if operations > maxOperations {
		return nil, fmt.Errorf("%d operations; a document may have %d: take a part of it", operations, maxOperations)
	}
	return doc, nil
}

// An openAPIReader makes a document of ours of one of theirs.
type openAPIReader struct {
	d     Document
	names *toolNames
}

func (r *openAPIReader) read(doc *openapi3.T) {
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if paths[path] == nil {
			continue
		}
		all := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(all)) {
			r.operation(&operation{Operation: all[method], method: method, path: path, item: paths[path]})
		}
	}
	tags := &r.d.Server.Tags
	slices.Sort(*tags)
	*tags = slices.Compact(*tags)
}

func (r *openAPIReader) operation(o *operation) {
	if o.Operation == nil {
		return
	}
	original := cmp.Or(o.OperationID, o.method+" "+o.path)
	input, err := o.input()
	if err != nil {
		r.d.Rejected = append(r.d.Rejected, Rejection{r.d.Server.Name, original, NotConvertible, err.Error()})
		return
	}
	t := Tool{Name: r.names.take(o.called()), Title: o.Summary, Description: o.says(), Input: input, Output: o.output(), Annotations: o.annotations()}
	if t.Name != original {
		t.Original = original
	}
	r.d.Server.Tools = append(r.d.Server.Tools, t)
	r.d.Server.Tags = append(r.d.Server.Tags, o.Tags...)
}
