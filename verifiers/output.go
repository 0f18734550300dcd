package verifiers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"

	"github.com/astra-arenas/astra"
)

// fits refuses a `solved` that reads step.value.name where the tool's output schema says
// that there is no such property: an object that is closed, with its properties listed.
// Deeper properties and other ways to say so in JSON Schema are left to the run.
func (c *checked) fits(tool *astra.Tool) (err error) {
	properties := closedProperties(tool.Output)
	if properties == nil {
		return nil
	}
	info := c.ast.NativeRep().SourceInfo()
	ast.PreOrderVisit(c.ast.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if err != nil || e.Kind() != ast.SelectKind || !isStepValue(e.AsSelect().Operand()) || properties[e.AsSelect().FieldName()] {
			return
		}
		at := info.GetStartLocation(e.ID())
		err = &sourceError{at.Line(), at.Column() + 1, fmt.Sprintf("undefined field '%s': the output schema of %s has %s",
			e.AsSelect().FieldName(), tool.Name, strings.Join(slices.Sorted(maps.Keys(properties)), ", "))}
	}))
	return err
}

func isStepValue(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "value" &&
		e.AsSelect().Operand().Kind() == ast.IdentKind && e.AsSelect().Operand().AsIdent() == "step"
}

// closedProperties are those of a schema that allows no others, or nil.
func closedProperties(schema json.RawMessage) map[string]bool {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Patterns   json.RawMessage            `json:"patternProperties"`
		Additional json.RawMessage            `json:"additionalProperties"`
	}
	if json.Unmarshal(schema, &s) != nil || string(s.Additional) != "false" || s.Patterns != nil || len(s.Properties) == 0 {
		return nil
	}
	names := make(map[string]bool, len(s.Properties))
	for name := range s.Properties {
		names[name] = true
	}
	return names
}
