# Calls the Cloverleaf snippet as its engine does: a TPS proc with a keyed list, the message behind a handle.
# arguments: snippet, message file, key file, header, output file
lassign $argv snippet message_file key header output_file
source $snippet

proc keylget {list_name key variable} {
    upvar $list_name list $variable value
    set value [dict get {*}[concat [list [join $list]] [split $key .]]]
}
proc msgget {handle} { return $::messages($handle) }
proc msgset {handle bytes} { set ::messages($handle) $bytes }
proc echo {text} { puts stderr $text }

set file [open $message_file rb]
set messages(message0) [read $file]
close $file
set disposition [carebell_sign [dict create MODE run MSGID message0 ARGS [dict create KEY $key HEADER $header]]]
if {$disposition ne "{CONTINUE message0}"} {
    puts stderr $disposition
    exit 1
}
set file [open $output_file wb]
puts -nonewline $file $messages(message0)
close $file
