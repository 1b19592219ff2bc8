/*
 * Signs an HL7 v2 message for Carebell (hl7v2-sig, profile 1, RS256), in Mirth Connect.
 *
 * Last step of the TCP Sender destination's transformer: this whole file, then
 *
 *     var key = FileUtil.read('/etc/mirth/carebell.key.pem');          // PKCS#8, readable by Mirth alone
 *     var header = '{"alg":"RS256","typ":"hl7v2-sig","x5t#S256":"..."}';   // printed by `carebell cert show`
 *     var message = SerializerFactory.getSerializer('HL7V2').fromXML(msg);
 *     channelMap.put('signed', carebellSign(message, key, header, 'UTF-8'));
 *
 * and in the TCP Sender: Template ${signed}, Encoding the charset given above. Nothing may change the message after this.
 *
 * With node it signs a file, which is how the tests run it: node mirth.js MESSAGE KEY HEADER > SIGNED
 */

// What Mirth (Java) or node gives us. A "byte string" holds one byte in each character.
var engine = typeof java === 'undefined' ? nodeEngine() : javaEngine();

// Text in, signed text out; the signature covers the text's bytes in `charset`, so the sender must use the same one.
function carebellSign(message, keyPem, header, charset) {
    return engine.fromBytes(signBytes(engine.toBytes(String(message), charset), String(keyPem), header), charset);
}

// Byte string in, signed byte string out.
function signBytes(content, keyPem, header) {
    var payload = canonical(content) + '\r';
    var protectedHeader = base64url(engine.base64(header));
    var signature = base64url(engine.sign(protectedHeader + '.' + base64url(engine.base64(payload)), keyPem));
    var diagnosis = payload.length + '^' + engine.sha256(payload);
    return payload + 'ZSG|1|' + protectedHeader + '..' + signature + '|' + diagnosis + '\r';
}

// One kind of segment end, CR. A line feed beside carriage returns is text and stays.
function canonical(content) {
    var end = content.length;
    while (end > 0 && (content.charAt(end - 1) === '\r' || content.charAt(end - 1) === '\n')) { end -= 1; }
    var body = content.substring(0, end);
    return body.indexOf('\r') < 0 ? body.replace(/\n/g, '\r') : body.replace(/\r\n/g, '\r');
}

function base64url(base64) {
    return base64.replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
}

function javaEngine() {
    function bytes(byteString) { return new java.lang.String(byteString).getBytes('ISO-8859-1'); }
    function string(text) { return String(new java.lang.String(text, 'ISO-8859-1')); }
    function base64(raw) { return String(java.util.Base64.getEncoder().encodeToString(raw)); }
    return {
        toBytes: function (text, charset) { return string(new java.lang.String(text).getBytes(charset)); },
        fromBytes: function (byteString, charset) { return String(new java.lang.String(bytes(byteString), charset)); },
        base64: function (byteString) { return base64(bytes(byteString)); },
        sha256: function (byteString) {
            var digest = java.security.MessageDigest.getInstance('SHA-256').digest(bytes(byteString));
            return String(java.lang.String.format('%064x', new java.math.BigInteger(1, digest)));
        },
        sign: function (byteString, keyPem) {
            var der = java.util.Base64.getMimeDecoder().decode(keyPem.replace(/-----[A-Z ]+-----/g, ''));
            var spec = new java.security.spec.PKCS8EncodedKeySpec(der);
            var signer = java.security.Signature.getInstance('SHA256withRSA');
            signer.initSign(java.security.KeyFactory.getInstance('RSA').generatePrivate(spec));
            signer.update(bytes(byteString));
            return base64(signer.sign());
        }
    };
}

function nodeEngine() {
    var crypto = require('crypto');
    function bytes(byteString) { return Buffer.from(byteString, 'latin1'); }
    return {
        base64: function (byteString) { return bytes(byteString).toString('base64'); },
        sha256: function (byteString) { return crypto.createHash('sha256').update(bytes(byteString)).digest('hex'); },
        sign: function (byteString, keyPem) { return crypto.sign('sha256', bytes(byteString), keyPem).toString('base64'); }
    };
}

if (typeof process !== 'undefined' && process.argv && process.argv.length === 5) {
    var fs = require('fs');
    var signed = signBytes(fs.readFileSync(process.argv[2], 'latin1'), fs.readFileSync(process.argv[3], 'latin1'), process.argv[4]);
    process.stdout.write(Buffer.from(signed, 'latin1'));
}
