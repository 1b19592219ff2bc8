# Signs an HL7 v2 message for Carebell (hl7v2-sig, profile 1, RS256), in Cloverleaf: Tcl 8.6 and the openssl program.
#
# As a TPS proc on the outbound thread, the last one, with the arguments
#
#     {KEY /etc/cloverleaf/carebell.key.pem} {HEADER {{"alg":"RS256","typ":"hl7v2-sig","x5t#S256":"..."}}}
#
# HEADER is what `carebell cert show` prints. The thread must hand the proc bytes: leave its encoding at binary (no conversion).
#
# From a shell, which is how the tests run it: tclsh cloverleaf.tcl MESSAGE KEY HEADER > SIGNED

namespace eval carebell {}

# Bytes in, signed bytes out.
proc carebell::sign {content key header} {
    set payload "[canonical $content]\r"
    set protected [base64url $header]
    set signature [base64url [openssl [list dgst -sha256 -sign $key -binary] "$protected.[base64url $payload]"]]
    set digest [lindex [split [openssl {dgst -sha256 -r} $payload]] 0]
    return "${payload}ZSG|1|$protected..$signature|[string length $payload]^$digest\r"
}

# One kind of segment end, CR. A line feed beside carriage returns is text and stays.
proc carebell::canonical {content} {
    set body [string trimright $content "\r\n"]
    if {[string first "\r" $body] < 0} {
        return [string map {"\n" "\r"} $body]
    }
    return [string map {"\r\n" "\r"} $body]
}

proc carebell::base64url {bytes} {
    return [string map {+ - / _ = {}} [binary encode base64 $bytes]]
}

# Runs openssl on the bytes; its output. A failure of openssl is a Tcl error.
proc carebell::openssl {arguments bytes} {
    set pipe [open |[linsert $arguments 0 openssl] r+]
    fconfigure $pipe -translation binary
    puts -nonewline $pipe $bytes
    close $pipe write
    set output [read $pipe]
    close $pipe
    return $output
}

# The TPS proc. A message that cannot be signed goes to the error database instead of leaving unsigned.
proc carebell_sign {args} {
    keylget args MODE mode
    if {$mode ne "run"} {
        return ""
    }
    keylget args MSGID message
    keylget args ARGS.KEY key
    keylget args ARGS.HEADER header
    if {[catch {carebell::sign [msgget $message] $key $header} signed]} {
        echo "carebell_sign: cannot sign: is the key file readable, is openssl there?"
        return [list [list ERROR $message]]
    }
    msgset $message $signed
    return [list [list CONTINUE $message]]
}

if {[info exists argv0] && [file tail $argv0] eq "cloverleaf.tcl" && $argc == 3} {
    lassign $argv path key header
    set file [open $path rb]
    set content [read $file]
    close $file
    fconfigure stdout -translation binary
    puts -nonewline [carebell::sign $content $key $header]
}
