package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A table is text in columns; numbers stand to the right.
type table struct {
	rows  [][]string
	right []bool
}

func newTable(heads ...string) *table {
	return &table{rows: [][]string{heads}, right: make([]bool, len(heads))}
}

// row adds cells. Floats have three digits, and nil is a dash: nothing is never 0.
func (t *table) row(cells ...any) {
	var row []string
	for i, c := range cells {
		switch v := c.(type) {
		case *float64:
			t.right[i] = true
			if v == nil {
				row = append(row, "–")
			} else {
				row = append(row, fmt.Sprintf("%.3f", *v))
			}
		case int, float64:
			t.right[i] = true
			row = append(row, strings.TrimSuffix(fmt.Sprintf("%v", v), ".0"))
		default:
			row = append(row, plain(fmt.Sprint(v)))
		}
	}
	t.rows = append(t.rows, row)
}

func (t *table) write(w io.Writer) error {
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if t.right[i] {
				line.WriteString(pad + c + "  ")
			} else {
				line.WriteString(c + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
