package config

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder puts parsed values into Go values and collects every error.
type decoder struct {
	doc  *document
	errs Errors
}

func (d *decoder) decode(path []string, table map[string]any, into any) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("config: Decode wants a pointer, not %T", into))
	}
	if table == nil {
		return
	}
	d.value(path, table, v.Elem())
}

func (d *decoder) fail(path []string, format string, args ...any) {
	e := d.doc.errorAt(path, false, format, args...)
	if len(path) > 0 {
		e.Message = showPath(path) + ": " + e.Message
	}
	d.errs = append(d.errs, e)
}

var (
	prefixType        = reflect.TypeFor[netip.Prefix]()
	sizeType          = reflect.TypeFor[Size]()
	durationType      = reflect.TypeFor[time.Duration]()
	routeBackendsType = reflect.TypeFor[RouteBackends]()
	textType          = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) value(path []string, in any, out reflect.Value) {
	if out.Kind() == reflect.Pointer {
		if out.IsNil() {
			out.Set(reflect.New(out.Type().Elem()))
		}
		d.value(path, in, out.Elem())
		return
	}
	if d.fromText(path, in, out) {
		return
	}
	switch out.Kind() {
	case reflect.Struct:
		d.structure(path, in, out)
	case reflect.Map:
		d.mapping(path, in, out)
	case reflect.Slice:
		d.slice(path, in, out)
	case reflect.Interface:
		out.Set(reflect.ValueOf(in))
	default:
		d.scalar(path, in, out)
	}
}

// fromText handles the types that are written as strings; it reports whether out is one of them.
func (d *decoder) fromText(path []string, in any, out reflect.Value) bool {
	special := out.Type() == prefixType || out.Type() == durationType
	if !special && !reflect.PointerTo(out.Type()).Implements(textType) {
		return false
	}
	if n, isInt := in.(int64); isInt && out.Type() == sizeType && n >= 0 {
		out.SetInt(n)
		return true
	}
	s, isString := in.(string)
	if !isString {
		d.fail(path, "must be a string%s, not %s", example(out.Type()), kindOf(in))
		return true
	}
	var err error
	switch out.Type() {
	case prefixType:
		var p netip.Prefix
		p, err = ParseNetwork(s)
		out.Set(reflect.ValueOf(p))
	case durationType:
		var t time.Duration
		t, err = ParseDuration(s)
		out.SetInt(int64(t))
	default:
		err = out.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
	}
	if err != nil {
		d.fail(path, "%v", err)
	}
	return true
}

func example(t reflect.Type) string {
	switch t {
	case sizeType:
		return ` such as "36MiB"`
	case durationType, reflect.TypeFor[Duration]():
		return ` such as "15s" or "14d"`
	}
	return ""
}

func (d *decoder) structure(path []string, in any, out reflect.Value) {
	table, ok := in.(map[string]any)
	if !ok {
		d.fail(path, "must be a table, not %s", kindOf(in))
		return
	}
	fields := fieldsOf(out)
	for _, key := range sortedKeys(table) {
		sub := append(path[:len(path):len(path)], key)
		if f, known := fields[key]; known {
			d.value(sub, table[key], f)
			continue
		}
		names := sortedKeys(fields)
		e := d.doc.errorAt(sub, true, "%s: unknown key%s", showPath(sub), hint(key, names))
		d.errs = append(d.errs, e)
	}
}

// fieldsOf returns the settable fields by key: the toml tag, else the name in lower case. Embedded structs count as if
// their fields stood in the outer one; a field with the tag "-" or an unexported one is not a key.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			for k, inner := range fieldsOf(v.Field(i)) {
				fields[k] = inner
			}
		case tag == "-" || !f.IsExported():
		case tag != "":
			fields[tag] = v.Field(i)
		default:
			fields[strings.ToLower(f.Name)] = v.Field(i)
		}
	}
	return fields
}

func (d *decoder) mapping(path []string, in any, out reflect.Value) {
	table, ok := in.(map[string]any)
	if !ok {
		d.fail(path, "must be a table, not %s", kindOf(in))
		return
	}
	if out.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("config: map keys must be strings: %s", out.Type()))
	}
	m := reflect.MakeMapWithSize(out.Type(), len(table))
	for _, key := range sortedKeys(table) {
		v := reflect.New(out.Type().Elem()).Elem()
		d.value(append(path[:len(path):len(path)], key), table[key], v)
		m.SetMapIndex(reflect.ValueOf(key).Convert(out.Type().Key()), v)
	}
	out.Set(m)
}

func (d *decoder) slice(path []string, in any, out reflect.Value) {
	if url, short := in.(string); short && out.Type() == routeBackendsType {
		out.Set(reflect.ValueOf(RouteBackends{{URL: url}}))
		return
	}
	list, ok := in.([]any)
	if !ok {
		d.fail(path, "must be an array, not %s", kindOf(in))
		return
	}
	s := reflect.MakeSlice(out.Type(), len(list), len(list))
	for i, v := range list {
		d.value(append(path[:len(path):len(path)], strconv.Itoa(i)), v, s.Index(i))
	}
	out.Set(s)
}

func (d *decoder) scalar(path []string, in any, out reflect.Value) {
	want := ""
	switch out.Kind() {
	case reflect.String:
		if s, ok := in.(string); ok {
			out.SetString(s)
			return
		}
		want = "a string"
	case reflect.Bool:
		if b, ok := in.(bool); ok {
			out.SetBool(b)
			return
		}
		want = "true or false"
	case reflect.Float32, reflect.Float64:
		if f, ok := number(in); ok {
			out.SetFloat(f)
			return
		}
		want = "a number"
	default:
		want = "a whole number"
		if n, ok := in.(int64); ok {
			if !setInt(out, n) {
				d.fail(path, "%d is out of range", n)
			}
			return
		}
	}
	d.fail(path, "must be %s, not %s", want, kindOf(in))
}

func number(in any) (float64, bool) {
	switch n := in.(type) {
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case int64:
		return float64(n), true
	}
	return 0, false
}

func setInt(out reflect.Value, n int64) bool {
	switch {
	case out.CanInt():
		if out.OverflowInt(n) {
			return false
		}
		out.SetInt(n)
	case out.CanUint():
		if n < 0 || out.OverflowUint(uint64(n)) {
			return false
		}
		out.SetUint(uint64(n))
	default:
		panic("config: cannot decode into " + out.Type().String())
	}
	return true
}

// child goes one step down: a key of a table or an index of an array.
func child(v any, key string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		next, ok := v[key]
		return next, ok
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
