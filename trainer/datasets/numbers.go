package datasets

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// The datasets package reads JSON columns with a parser (ujson, as pandas has it) that takes
// 0.7 for 0.7000000000000001, keeps 15 decimals, and fails on whole numbers past 64 bits;
// of JSON lines it also writes such columns anew, with 10 decimals. A call's 0.7 would be
// learned as 0.7000000000000001. What can be spelled so that this parser too reads it as it
// is we spell so (0.700000); what cannot is left out. ujsonFloat is held to the real one in
// tests.

// spell returns JSON whose numbers the parser reads exactly from Parquet files.
func spell(text string) (string, error) {
	return eachNumber(text, func(n string) (string, bool) {
		if !strings.ContainsAny(n, ".eE") {
			return n, fits(n)
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return n, false
		}
		shortest := decimals(v)
		for range maxDecimals {
			if read, ok := ujsonFloat(shortest); ok && read == v {
				return shortest, true
			}
			shortest += "0"
		}
		return n, false
	})
}

// check returns JSON as it is if the numbers in it are read exactly from JSON lines.
func check(text string) (string, error) {
	return eachNumber(text, func(n string) (string, bool) {
		if !strings.ContainsAny(n, ".eE") {
			return n, fits(n)
		}
		v, err := strconv.ParseFloat(n, 64)
		read, ok := ujsonFloat(decimals(v))
		whole, fraction, _ := strings.Cut(decimals(v), ".")
		return n, err == nil && ok && read == v && len(fraction) <= 10 && len(whole+fraction) <= 15
	})
}

// maxDecimals is how many the parser reads; more it passes over.
const maxDecimals = 15

// decimals is a float without exponent, and with a point.
func decimals(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func fits(n string) bool {
	whole, ok := new(big.Int).SetString(n, 10)
	return ok && (whole.IsInt64() || whole.IsUint64())
}

// ujsonFloat reads a decimal as the parser does: the fraction as a whole number, times a
// power of ten. Conversions keep Go from fusing the operations.
func ujsonFloat(s string) (float64, bool) {
	sign := 1.0
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = -1, rest
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil {
		return 0, false
	}
	f := 0.0
	fraction = fraction[:min(len(fraction), maxDecimals)]
	for _, digit := range fraction {
		f = float64(f*10) + float64(digit-'0')
	}
	return (float64(n) + float64(f*tenths10[len(fraction)])) * sign, true
}

var tenths10 = [maxDecimals + 1]float64{1, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001, 0.00000001, 0.000000001,
	0.0000000001, 0.00000000001, 0.000000000001, 0.0000000000001, 0.00000000000001, 0.000000000000001}

// eachNumber replaces the numbers of valid JSON.
func eachNumber(text string, f func(string) (string, bool)) (string, error) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; {
		case c == '"':
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end++
			out = append(out, text[i:end]...)
		case c == '-' || c >= '0' && c <= '9':
			for end < len(text) && strings.IndexByte("0123456789.eE+-", text[end]) >= 0 {
				end++
			}
			n, ok := f(text[i:end])
			if !ok {
				return "", errors.New(n)
			}
			out = append(out, n...)
		default:
			out = append(out, c)
		}
		i = end
	}
	return string(out), nil
}
