package live

import (
	"reflect"
	"testing"
)

// TestComposed walks a machine's parts. Only View and Host, which put them together, may embed anything, and
// only interfaces: a part that embeds a host has all of the host's methods, whether it brings its own or not.
func TestComposed(t *testing.T) {
	h, _ := open(t)
	here := reflect.TypeFor[Host]().PkgPath()
	parts := map[reflect.Type]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type().PkgPath() != here || parts[v.Type()] {
			return
		}
		parts[v.Type()] = true
		assembly := v.Type() == reflect.TypeFor[Host]() || v.Type() == reflect.TypeFor[View]()
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Anonymous && !(assembly && field.Type.Kind() == reflect.Interface) {
				t.Errorf("%v embeds %v", v.Type(), field.Type)
			}
			if !assembly && field.Type.Kind() == reflect.Interface && v.Field(i).Elem().Type() == reflect.TypeFor[*View]() {
				t.Errorf("%v works with a whole View", v.Type())
			}
			walk(v.Field(i))
		}
	}
	walk(reflect.ValueOf(h))
	for _, part := range []reflect.Type{
		reflect.TypeFor[View](), reflect.TypeFor[space](), reflect.TypeFor[filesWriter](), reflect.TypeFor[debs](), reflect.TypeFor[debsWriter](),
		reflect.TypeFor[rpms](), reflect.TypeFor[rpmsWriter](), reflect.TypeFor[servicesWriter](), reflect.TypeFor[databaseWriter](),
		reflect.TypeFor[ldapClient](), reflect.TypeFor[accountReader](), reflect.TypeFor[programs](),
	} {
		if !parts[part] {
			t.Errorf("%v is not among the parts of a host", part)
		}
	}
}
